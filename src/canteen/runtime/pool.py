"""The loaded models: load on demand (once, however many ask), keep alive, unload."""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from canteen.core.engine import EngineStats
from canteen.core.errors import Overloaded
from canteen.core.model import ModelCard
from canteen.runtime.admission import Gate, Limited, LimitedEmbedder

logger = logging.getLogger(__name__)

Served = Limited | LimitedEmbedder


class Health(Protocol):
    """What the pool may ask of whatever runs a model."""

    @property
    def is_ready(self) -> bool: ...

    @property
    def is_over(self) -> bool: ...

    @property
    def num_restarts(self) -> int: ...


Create = Callable[[ModelCard], Awaitable[tuple[Served, Health]]]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory, as `ps` shows it. `expires_at` is None while it is kept for ever."""

    card: ModelCard
    state: Literal["loading", "ready", "restarting"]
    memory_bytes: int
    context_length: int
    expires_at: datetime | None
    num_running: int
    num_waiting: int
    kv_cache_usage: float
    num_restarts: int
    load_s: float


@dataclass(slots=True)
class Slot:
    """One model that is loaded, or being loaded."""

    card: ModelCard
    loading: "asyncio.Task[tuple[Served, Health]]"
    keep_alive_s: float
    num_users: int = 0
    load_s: float = 0.0
    expires_s: float = math.inf
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def is_loaded(self) -> bool:
        """Whether loading has ended well."""
        return self.loading.done() and not self.loading.cancelled() and not self.loading.exception()

    @property
    def is_over(self) -> bool:
        """Whether what ran the model has given up for good."""
        return self.is_loaded and self.loading.result()[1].is_over

    @property
    def served(self) -> Served:
        """What runs the model; only once it is loaded."""
        return self.loading.result()[0]

    @property
    def gate(self) -> Gate:
        """The queue before it."""
        return self.served.gate


class Pool:
    """Keeps at most one worker for the same weights, whatever names they go by."""

    def __init__(self, create: Create, keep_alive_s: float) -> None:
        self._create = create
        self._keep_alive_s = keep_alive_s
        self._slots: dict[str, Slot] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def use(self, card: ModelCard, keep_alive_s: float | None = None) -> AsyncIterator[Slot]:
        """Hold a model loaded for the time of the block; raises what loading it raises."""
        slot = self._slots.get(_key(card))
        if slot is None or slot.is_over:
            slot = self._open(card)
        slot.keep_alive_s = self._keep_alive_s if keep_alive_s is None else keep_alive_s
        self._stop_timer(slot)
        slot.num_users += 1
        try:
            await self._until_loaded(card, slot)
            yield slot
        finally:
            slot.num_users -= 1
            if slot.num_users == 0:
                self._start_timer(card, slot)

    async def unload(self, card: ModelCard) -> None:
        """End the model's worker; what it is answering ends with an error."""
        slot = self._slots.pop(_key(card), None)
        if slot is not None:
            self._stop_timer(slot)
            await _close(slot)

    async def loaded(self) -> list[LoadedModel]:
        """The models in memory, and those on their way there."""
        return [await _describe(slot) for slot in list(self._slots.values())]

    async def close(self) -> None:
        """Unload everything."""
        for slot in list(self._slots.values()):
            await self.unload(slot.card)
        await asyncio.gather(*self._closing)

    def _open(self, card: ModelCard) -> Slot:
        task = asyncio.ensure_future(self._create(card))
        slot = Slot(card, task, self._keep_alive_s)
        self._slots[_key(card)] = slot
        return slot

    async def _until_loaded(self, card: ModelCard, slot: Slot) -> None:
        started_s = time.monotonic()
        is_first = not slot.loading.done()
        try:
            # Shielded: one caller who leaves does not take the model from the others.
            await asyncio.shield(slot.loading)
        except asyncio.CancelledError:
            if not slot.loading.cancelled():
                raise
            # It is the loading that was cancelled, by an unload, and not who waited for it.
            raise Overloaded(
                "the model was unloaded while it was loading; please try again",
                retry_after_s=1.0,
                code="model_loading",
            ) from None
        except Exception:
            if self._slots.get(_key(card)) is slot:
                del self._slots[_key(card)]
            raise
        if is_first and not slot.load_s:
            slot.load_s = time.monotonic() - started_s
            logger.info("loaded", extra={"model": card.name, "load_s": slot.load_s})

    def _start_timer(self, card: ModelCard, slot: Slot) -> None:
        if self._slots.get(_key(card)) is not slot or math.isinf(slot.keep_alive_s):
            slot.expires_s = math.inf
            return
        loop = asyncio.get_running_loop()
        slot.expires_s = time.time() + slot.keep_alive_s
        slot.timer = loop.call_later(slot.keep_alive_s, self._expire, card)

    def _stop_timer(self, slot: Slot) -> None:
        if slot.timer is not None:
            slot.timer.cancel()
        slot.timer = None
        slot.expires_s = math.inf

    def _expire(self, card: ModelCard) -> None:
        slot = self._slots.get(_key(card))
        if slot is None or slot.num_users:
            return
        # Out of reach at once: who asks in the next moment gets a model of its own.
        del self._slots[_key(card)]
        task = asyncio.ensure_future(_close(slot))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _key(card: ModelCard) -> str:
    return card.folder or card.name


async def _close(slot: Slot) -> None:
    if not slot.loading.done():
        slot.loading.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await slot.loading
    if slot.is_loaded:
        await slot.served.close()


async def _describe(slot: Slot) -> LoadedModel:
    if not slot.is_loaded:
        return LoadedModel(
            slot.card, "loading", 0, slot.card.context_length, None, 0, slot.num_users, 0.0, 0, 0.0
        )
    served, health = slot.loading.result()
    stats: EngineStats = await served.stats()
    return LoadedModel(
        card=slot.card,
        state="ready" if health.is_ready else "restarting",
        memory_bytes=stats.memory_bytes,
        context_length=slot.card.context_length,
        expires_at=_when(slot),
        num_running=slot.gate.num_running,
        num_waiting=slot.gate.num_waiting,
        kv_cache_usage=stats.kv_cache_usage,
        num_restarts=health.num_restarts,
        load_s=slot.load_s,
    )


def _when(slot: Slot) -> datetime | None:
    """When an idle model goes; a busy one is counted from now."""
    if math.isinf(slot.keep_alive_s):
        return None
    if math.isinf(slot.expires_s):
        return datetime.now(UTC) + timedelta(seconds=slot.keep_alive_s)
    return datetime.fromtimestamp(slot.expires_s, UTC)
