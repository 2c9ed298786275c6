"""The loaded models within their memory: load on demand (once, however many ask), keep alive,
let sleep, make room, unload. The policy is in docs/decisions/0005-memory-budget.md."""

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

from canteen.core.engine import EngineStats
from canteen.core.errors import CanteenError, Overloaded
from canteen.core.model import ModelCard
from canteen.runtime.budget import Budget
from canteen.runtime.history import Event, History, What
from canteen.runtime.slot import Health, LoadedModel, Served, Sleeper, Slot, describe, weights

logger = logging.getLogger(__name__)

# A worker's memory is asked for when a user leaves, but not more often than this.
MEASURE_EVERY_S = 1.0
# What a refused caller is told at least: less would be a busy loop.
SHORTEST_RETRY_AFTER_S = 1.0

Create = Callable[[ModelCard], Awaitable[tuple[Served, Health]]]


class Pool:
    """Keeps at most one worker for the same weights, whatever names they go by, and all of them
    within the budget.

    At most `max_waiting` callers wait for a model that is not loaded yet. `tell` hears of every
    load and unload.
    """

    def __init__(
        self,
        create: Create,
        budget: Budget,
        *,
        keep_alive_s: float,
        max_waiting: int,
        tell: Callable[[Event], object] = lambda event: None,
    ) -> None:
        self._create = create
        self._budget = budget
        self._figures = budget.figures
        self._keep_alive_s = keep_alive_s
        self._max_waiting = max_waiting
        self._history = History(tell)
        self._slots: dict[str, Slot] = {}
        # Out of reach for callers and still in memory, until their last user has left.
        self._leaving: set[Slot] = set()
        # Who waits for memory, first come first served.
        self._line: deque[Slot] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._background: set[asyncio.Task[object]] = set()

    @asynccontextmanager
    async def use(
        self,
        card: ModelCard,
        keep_alive_s: float | None = None,
        deadline_s: float | None = None,
        *,
        adapter_rank: int = 0,
    ) -> AsyncIterator[Slot]:
        """Hold a model loaded for the time of the block. One that was loaded without room for an
        adapter of that rank is loaded anew, once its users have left.

        Waits for loading, and for memory, until `deadline_s` (of `time.monotonic`), or refuses at
        once where that cannot be met. Raises Overloaded, with what is left to wait;
        ModelUnsuitable for a model that can never fit; and what loading it raises.
        """
        slot = self._slot(card, adapter_rank)
        if slot.resting is not None:
            self._wake(slot, slot.resting)
        if not slot.loading.done() and slot.num_users >= self._max_waiting:
            raise self._not_loaded(slot, f"{slot.num_users} requests wait for it already")
        slot.keep_alive_s = self._keep_alive_s if keep_alive_s is None else keep_alive_s
        _stop_timer(slot)
        slot.num_users += 1
        try:
            await self._until_loaded(slot, deadline_s)
            yield slot
        finally:
            slot.num_users -= 1
            slot.used_s = _now_s()
            self._left(slot)

    async def unload(self, card: ModelCard) -> None:
        """End the model's worker; what it is answering ends with an error."""
        slot = self._slots.get(weights(card))
        if slot is not None:
            self._retire(slot, "unloaded", "on command")
        await self._ended(slot for slot in self._leaving if slot.key == weights(card))

    async def loaded(self) -> list[LoadedModel]:
        """The models in memory, and those on their way there."""
        leaving = [slot for slot in self._leaving if slot.num_users]
        slots = [*leaving, *self._slots.values()]
        return await asyncio.gather(*(self._describe(slot) for slot in slots))

    def events(self) -> list[Event]:
        """What happened last to each model, in memory or not, the latest first."""
        return self._history.events()

    async def close(self) -> None:
        """Unload everything."""
        for slot in list(self._slots.values()):
            self._retire(slot, "unloaded", "the service ends")
        await self._ended(self._leaving)
        while self._background:
            await asyncio.wait(self._background)

    # Loading

    def _slot(self, card: ModelCard, adapter_rank: int) -> Slot:
        slot = self._slots.get(weights(card))
        if slot is not None and slot.is_over:
            self._retire(slot, "failed", "its worker ended again and again")
        elif slot is not None and slot.adapter_rank < adapter_rank:
            self._retire(slot, "unloaded", f"to be loaded with adapters of rank {adapter_rank}")
        return self._slots.get(weights(card)) or self._open(card)

    def _open(self, card: ModelCard) -> Slot:
        """Put a model into the line for memory, which may be empty."""
        self._budget.check(card)
        turn = asyncio.get_running_loop().create_future()
        slot = Slot(card, self._keep_alive_s, arrived_s=_now_s(), turn=turn)
        slot.loading = asyncio.ensure_future(self._load(slot))
        slot.loading.add_done_callback(lambda _: self._ended_loading(slot))
        self._slots[slot.key] = slot
        self._line.append(slot)
        self._advance()
        return slot

    async def _load(self, slot: Slot) -> tuple[Served, Health]:
        await slot.turn
        # Its figure may have grown while it waited, as its last worker was answering still.
        self._budget.check(slot.card)
        made = await self._create(slot.card)
        slot.ready_s = slot.used_s = _now_s()
        self._note(slot, "loaded", f"on request, in {slot.load_s:.1f} s")
        self._figures.record_load(slot.card, slot.load_s)
        return made

    def _ended_loading(self, slot: Slot) -> None:
        if slot.loading.cancelled() or slot.closing is not None:
            return
        error = slot.loading.exception()
        if error is not None:
            why = error.message if isinstance(error, CanteenError) else "it could not be loaded"
            self._retire(slot, "failed", why)
            return
        self._spawn(self._measure(slot))
        self._spawn(self._figures.save())
        if not slot.num_users:
            self._start_timer(slot)
        self._advance()

    async def _until_loaded(self, slot: Slot, deadline_s: float | None) -> None:
        if not slot.loading.done():
            now_s = _now_s()
            if deadline_s is not None and now_s + self._remaining_s(slot) > deadline_s:
                raise self._not_loaded(slot, "the request's deadline comes before that")
            # Not cancelled with who waits: one caller who leaves does not take it from others.
            left_s = None if deadline_s is None else deadline_s - now_s
            await asyncio.wait([slot.loading], timeout=left_s)
        if not slot.loading.done():
            raise self._not_loaded(slot, "the request's deadline has come")
        if slot.loading.cancelled():
            raise Overloaded(
                "the model was unloaded while it was loading; please try again",
                retry_after_s=SHORTEST_RETRY_AFTER_S,
                code="model_loading",
            )
        slot.loading.result()

    def _remaining_s(self, slot: Slot) -> float:
        """Seconds until it is loaded at the earliest, by what was measured of its last load; 0
        where nothing is known."""
        if slot.is_waking:
            return 0.0
        now_s, load_s = _now_s(), self._figures.load_s(slot.card)
        if slot.is_in_memory:
            return max(slot.started_s + load_s - now_s, 0.0)
        return max(slot.room_s - now_s, 0.0) + load_s

    def _not_loaded(self, slot: Slot, why: str) -> Overloaded:
        """The refusal of a caller, who may come back: the load goes on without it."""
        slot.is_promised = True
        # Where nothing is known, as long again as it has taken so far.
        left_s = self._remaining_s(slot) or _now_s() - slot.arrived_s
        left_s = max(left_s, SHORTEST_RETRY_AFTER_S)
        doing = "is being loaded"
        if not slot.is_in_memory:
            doing = self._budget.shortage(self._all(), slot)
        return Overloaded(
            f"model '{slot.card.name}' {doing}; that takes {left_s:.1f} s more by what is known, "
            f"and {why}; please try again then",
            retry_after_s=left_s,
            code="model_loading",
        )

    # Leaving

    def _left(self, slot: Slot) -> None:
        """A user has left it."""
        if slot.closing is not None:
            return
        if slot.is_loaded and _now_s() - slot.measured_s >= MEASURE_EVERY_S:
            slot.measured_s = _now_s()
            self._spawn(self._measure(slot))
        if slot.num_users:
            return
        if slot in self._leaving:
            self._end(slot)
        elif slot.is_loaded:
            self._start_timer(slot)
            self._advance()
        elif slot in self._line and not slot.is_promised:
            self._retire(slot)

    def _start_timer(self, slot: Slot) -> None:
        keep_s = slot.keep_alive_s
        if slot.is_promised and slot.used_s == slot.ready_s:
            # Nobody has used it yet, and someone was told to come back for it.
            keep_s = max(keep_s, slot.stays_until_s(slot) - _now_s())
        if not math.isinf(keep_s):
            loop = asyncio.get_running_loop()
            slot.timer = loop.call_later(keep_s, self._expire, slot, keep_s)

    def _expire(self, slot: Slot, keep_s: float) -> None:
        why = f"unused for its keep_alive of {keep_s:.0f} s"
        if slot.sleeper is not None and self._can_sleep(slot):
            slot.resting = asyncio.ensure_future(self._fall_asleep(slot, slot.sleeper, why))
        else:
            self._retire(slot, "expired", why)

    def _retire(self, slot: Slot, what: What | None = None, why: str = "") -> None:
        """Put it out of reach: who asks in the next moment gets a model of its own. Its worker
        ends when nobody uses it any more."""
        if self._slots.get(slot.key) is not slot:
            return
        del self._slots[slot.key]
        _stop_timer(slot)
        if slot in self._line:
            self._line.remove(slot)
        self._leaving.add(slot)
        if what is not None:
            self._note(slot, what, why)
        if not slot.num_users or not slot.is_loaded or slot.is_over:
            self._end(slot)

    def _end(self, slot: Slot) -> "asyncio.Task[None]":
        if slot.closing is None:
            slot.closing = asyncio.ensure_future(self._close(slot))
        return slot.closing

    async def _ended(self, slots: Iterable[Slot]) -> None:
        """Until their workers have ended; a caller who leaves does not stop that."""
        if ending := [self._end(slot) for slot in slots]:
            await asyncio.wait(ending)

    async def _close(self, slot: Slot) -> None:
        try:
            if not slot.loading.done():
                slot.loading.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await slot.loading
            if slot.is_loaded:
                await slot.served.close()
        finally:
            self._leaving.discard(slot)
            self._advance()

    # Sleeping

    def _can_sleep(self, slot: Slot) -> bool:
        """Whether there is memory for its weights beside what the others take, and nobody waits."""
        others = [other for other in self._all() if other is not slot]
        missing_bytes = self._budget.missing_bytes(others) + self._budget.asleep_bytes(slot)
        return missing_bytes <= 0 and not self._line

    async def _fall_asleep(self, slot: Slot, sleeper: Sleeper, why: str) -> None:
        self._note(slot, "slept", why)
        try:
            await sleeper.rest(is_asleep=True)
        except CanteenError as error:
            # Who came for it meanwhile sees to it.
            if not slot.is_waking:
                self._retire(slot, "failed", error.message)
            return
        if self._figures.record_memory(slot.card, self._budget.asleep_bytes(slot)):
            self._spawn(self._figures.save())
        self._advance()

    def _wake(self, slot: Slot, resting: "asyncio.Task[None]") -> None:
        """Who asks for it from now on waits as for one that is being loaded."""
        sleeper = slot.health
        assert isinstance(sleeper, Sleeper)
        slot.arrived_s = slot.started_s = _now_s()
        slot.resting, slot.is_waking = None, True
        slot.loading = asyncio.ensure_future(self._woken(slot, slot.served, sleeper, resting))
        slot.loading.add_done_callback(lambda _: self._ended_loading(slot))

    async def _woken(
        self, slot: Slot, served: Served, sleeper: Sleeper, resting: "asyncio.Task[None]"
    ) -> tuple[Served, Health]:
        """One that cannot be woken, perhaps since others have its device now, is loaded anew."""
        try:
            await asyncio.wait([resting])
            await sleeper.rest(is_asleep=False)
            slot.ready_s = slot.used_s = _now_s()
            self._note(slot, "woken", f"on request, in {slot.load_s:.1f} s")
        except CanteenError as error:
            self._note(slot, "failed", f"it could not be woken: {error.message}")
            await served.close()
            return await self._load(slot)
        except asyncio.CancelledError:
            await served.close()
            raise
        finally:
            slot.is_waking = False
        return served, sleeper

    # Memory

    def _advance(self) -> None:
        """Load who is first in the line if there is memory, or see to it that there will be."""
        self._set_alarm(None)
        while self._line and self._has_room(self._line[0]):
            slot = self._line.popleft()
            slot.started_s = _now_s()
            slot.turn.set_result(None)
        if self._line:
            self._make_room(self._line[0])
        else:
            self._shrink()

    def _has_room(self, slot: Slot) -> bool:
        if any(other.key == slot.key for other in self._leaving):
            return False
        others = [other for other in self._all() if other.is_in_memory]
        return not others or self._budget.missing_bytes(others, slot) <= 0

    def _make_room(self, slot: Slot) -> None:
        """Evict idle models for it, busy ones only where those do not suffice: they take no new
        users and go when their last one has left. Each has its time to stay first."""
        missing_bytes = self._budget.missing_bytes(self._slots.values(), slot)
        loaded = [other for other in self._slots.values() if other.is_loaded]
        victims = self._budget.victims(_idle(loaded), slot, missing_bytes, _now_s())
        victims = victims or self._budget.victims(loaded, slot, missing_bytes, _now_s())
        if not victims:
            return
        slot.room_s = max(other.stays_until_s(slot) for other in victims)
        if slot.room_s > _now_s():
            self._set_alarm(slot.room_s)
            return
        for other in victims:
            self._retire(other, "evicted", f"to make room for {slot.card.name}")

    def _shrink(self) -> None:
        """Where models have grown beyond the budget, idle ones go, without their time to stay."""
        for slot in sorted(_idle(self._slots.values()), key=lambda slot: slot.used_s):
            if self._budget.missing_bytes(self._slots.values()) > 0:
                self._retire(slot, "evicted", "models have grown beyond the memory budget")

    def _all(self) -> list[Slot]:
        return [*self._slots.values(), *self._leaving]

    def _set_alarm(self, moment_s: float | None) -> None:
        """Look again then, and at no other time."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None
        if moment_s is not None:
            self._alarm = asyncio.get_running_loop().call_at(moment_s, self._advance)

    # Measuring

    async def _measure(self, slot: Slot) -> EngineStats:
        """The worker's gauges, which the figures learn from."""
        # It may be woken meanwhile, and is then as if it were being loaded.
        served, health = slot.loading.result()
        stats: EngineStats = await served.stats()
        slot.load_bytes = slot.load_bytes or stats.memory_bytes
        for _ in range(slot.num_restarts, health.num_restarts):
            slot.num_restarts += 1
            self._note(slot, "restarted", "its worker had ended and was started again")
            if slot.resting is not None:
                self._retire(slot, "expired", "its worker ended while it slept")
        if self._figures.record_memory(slot.card, stats.memory_bytes):
            self._spawn(self._figures.save())
            self._advance()
        return stats

    async def _describe(self, slot: Slot) -> LoadedModel:
        stats = await self._measure(slot) if slot.is_loaded else EngineStats()
        return describe(
            slot,
            stats,
            self._figures.memory_bytes(slot.card),
            is_leaving=slot in self._leaving,
            is_measured=self._figures.is_measured(slot.card),
        )

    def _note(self, slot: Slot, what: What, why: str) -> None:
        card = slot.card
        told = {"model": card.name, "digest": card.digest, "engine": card.engine, "why": why}
        logger.info(what, extra={"event": "model", **told})
        self._history.note(card.name, what, why)

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _idle(slots: Iterable[Slot]) -> list[Slot]:
    return [slot for slot in slots if slot.is_loaded and not slot.num_users]


def _stop_timer(slot: Slot) -> None:
    if slot.timer is not None:
        slot.timer.cancel()
    slot.timer = None
