"""Answers deferred requests by the application itself, a few at once, each to its end."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from canteen.api.background.exchange import Exchange, Later, fault, scope_of
from canteen.api.background.held import Held
from canteen.core.access import Caller
from canteen.core.errors import EngineError, JobNotFound, Unauthorized
from canteen.core.turns import FAULT, TROUBLED_S, Turns, guarded
from canteen.runtime.deferred.book import Ended, Which
from canteen.runtime.deferred.request import Deferred, caller_of

if TYPE_CHECKING:
    from canteen.bootstrap import Services

TIDY_EVERY_S = 10.0
MODEL_HELD_S = 2.0
# Whose limit it is that a request met, by the status of its refusal.
_OF_THE_CALLER, _OF_THE_MODEL = 429, 503


class Runner:
    """Claims requests and has `app` answer them, as many at once as a model decodes. `on_end` is
    called when one is over."""

    def __init__(self, app: ASGIApp, services: "Services", on_end: Callable[[], None]) -> None:
        self._app = app
        self._book = services.deferred.book
        self._keys = services.keys
        self._most = services.settings.max_num_seqs
        self._services = services
        self._on_end = on_end
        self._is_closing = False
        self._tidied_s = float("-inf")
        self._running: dict[str, tuple[Deferred, Exchange, asyncio.Task[None]]] = {}
        self._held = Held()
        self._turns = Turns(self._turn)

    def start(self) -> None:
        """Begin to claim requests."""
        self._turns.start()

    def wake(self) -> None:
        """There is a request, or somebody wants one to end."""
        self._turns.wake()

    async def close(self) -> None:
        """Claim no more, and let others have what is under way."""
        self._is_closing = True
        await self._turns.close()
        working = [task for _, _, task in self._running.values()]
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        with suppress(EngineError):
            # Else whoever comes next sees that this gateway is no more.
            await asyncio.to_thread(self._book.give_back)

    async def _turn(self) -> None:
        if time.monotonic() - self._tidied_s > TIDY_EVERY_S:
            self._tidied_s = time.monotonic()
            await guarded(asyncio.to_thread(self._services.deferred.tidy), None)
        if await asyncio.to_thread(self._book.is_idle):
            self._services.metrics.tell_deferred(0)
            return
        await self._heed()
        free = self._most - len(self._running)
        if free and not self._services.is_draining and not self._is_closing:
            await self._claim(free)
        self._services.metrics.tell_deferred(await asyncio.to_thread(self._book.num_waiting))

    async def _heed(self) -> None:
        """Leave what somebody cancelled, or another has by now, and give back what nobody here
        knows of."""
        wanted = await asyncio.to_thread(self._book.beat)
        for job_id, (_, exchange, _) in self._running.items():
            if wanted.get(job_id) != "":
                exchange.leave()
        for job_id in wanted.keys() - self._running.keys():
            # One that its batch has ended meanwhile is gone. One that could not be kept counts.
            with suppress(JobNotFound):
                await asyncio.to_thread(self._book.postpone, job_id, TROUBLED_S)

    async def _claim(self, most: int) -> None:
        """Begin with what is next; of those who may have few at once, with as many."""
        models = self._held.models()
        limited = self._held.callers()
        which = Which(None, limited.keys(), models)
        for one in await asyncio.to_thread(self._book.claim, most, which):
            self._begin(one)
        for caller_id, most_of in limited.items():
            num = sum(one.caller_id == caller_id for one, _, _ in self._running.values())
            free = min(most_of - num, self._most - len(self._running))
            if free > 0:
                which = Which(caller_id, (), models)
                for one in await asyncio.to_thread(self._book.claim, free, which):
                    self._begin(one)

    def _begin(self, one: Deferred) -> None:
        exchange = Exchange(one)
        working = asyncio.ensure_future(self._work(one, exchange))
        self._running[one.id] = one, exchange, working
        working.add_done_callback(partial(self._ended, one.id))

    def _ended(self, job_id: str, working: "asyncio.Task[None]") -> None:
        # One that was given back may have been claimed again before this is called.
        known = self._running.get(job_id)
        if known is not None and known[2] is working:
            del self._running[job_id]
        self.wake()
        self._on_end()

    async def _work(self, one: Deferred, exchange: Exchange) -> None:
        verdict: Ended | Later = Later(0.0, is_counted=False)
        try:
            verdict = await guarded(self._answered(one, exchange), _faulty(one))
        finally:
            # Whoever is cancelled gives it back.
            await asyncio.shield(guarded(self._keep(one, verdict), None))

    async def _answered(self, one: Deferred, exchange: Exchange) -> Ended | Later:
        caller: Caller | Unauthorized | None = caller_of(one)
        try:
            if isinstance(caller, Caller):
                caller = await self._keys.renewed(caller)
        except Unauthorized as error:
            # It is refused as everybody is, in the shape of its route.
            caller = error
        except EngineError:
            # Nobody can tell now.
            return Later(TROUBLED_S, is_counted=False)
        left_s = max(one.deadline_s - self._book.clock(), 0.0)
        await self._app(scope_of(one, caller, left_s), exchange.receive, exchange.send)
        return exchange.verdict(one)

    async def _keep(self, one: Deferred, verdict: Ended | Later) -> None:
        """Have the book know; nobody else has it before. A gateway that ends tries once."""
        while True:
            with suppress(EngineError):
                if isinstance(verdict, Ended):
                    await asyncio.to_thread(self._book.finish, one, verdict)
                else:
                    self._refused(one, verdict)
                    await asyncio.to_thread(
                        self._book.postpone, one.id, verdict.pause_s, is_counted=verdict.is_counted
                    )
                return
            if self._is_closing:
                return
            await asyncio.sleep(TROUBLED_S)

    def _refused(self, one: Deferred, later: Later) -> None:
        """What this met, all others of the caller, or of the model, would meet too."""
        if later.status == _OF_THE_MODEL:
            # A queue that is too long for this one may not be for the next.
            self._held.hold_model(one.model, min(later.pause_s, MODEL_HELD_S))
        elif later.status == _OF_THE_CALLER:
            others = [other for other, _, _ in self._running.values() if other.id != one.id]
            num = sum(other.caller_id == one.caller_id for other in others)
            self._held.limit_caller(one.caller_id, num, later.pause_s)


def _faulty(one: Deferred) -> Ended | Later:
    return fault(one) or Ended("failed", error=FAULT)
