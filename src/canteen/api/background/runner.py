"""Answers deferred requests by the application itself, a few at once, each to its end."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from canteen.api.background.exchange import Exchange, Later, scope_of
from canteen.api.errors import problem, status_of
from canteen.api.streaming import json_bytes
from canteen.core.errors import CanteenError, EngineError, Unauthorized
from canteen.runtime.deferred.book import Ended
from canteen.runtime.deferred.request import Deferred, caller_of
from canteen.runtime.deferred.turns import TROUBLED_S, Turns

if TYPE_CHECKING:
    from canteen.bootstrap import Services

logger = logging.getLogger(__name__)


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
        self._running: dict[str, tuple[Exchange, asyncio.Task[None]]] = {}
        self._turns = Turns(self._turn)

    def start(self) -> None:
        """Begin to claim requests."""
        self._turns.start()

    def wake(self) -> None:
        """There is a request, or somebody wants one to end."""
        self._turns.wake()

    async def close(self) -> None:
        """Claim no more, and let others have what is under way."""
        await self._turns.close()
        working = [task for _, task in self._running.values()]
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    async def _turn(self) -> None:
        if self._running:
            self._heed(await asyncio.to_thread(self._book.beat))
        if await asyncio.to_thread(self._book.is_idle):
            self._services.metrics.tell_deferred(0)
            return
        free = self._most - len(self._running)
        if free and not self._services.is_draining:
            await self._claim(free)
        self._services.metrics.tell_deferred(await asyncio.to_thread(self._book.num_waiting))

    async def _claim(self, most: int) -> None:
        for one in await asyncio.to_thread(self._book.claim, most):
            exchange = Exchange(one)
            working = asyncio.ensure_future(self._work(one, exchange))
            self._running[one.id] = exchange, working
            working.add_done_callback(partial(self._ended, one.id))

    def _heed(self, wanted: dict[str, str]) -> None:
        """Leave what somebody cancelled, or another has by now."""
        for job_id, (exchange, _) in self._running.items():
            if wanted.get(job_id) != "":
                exchange.leave()

    def _ended(self, job_id: str, done: "asyncio.Task[None]") -> None:
        del self._running[job_id]
        if not done.cancelled() and (error := done.exception()) is not None:
            logger.error("a request in the background failed", exc_info=error)
        self.wake()
        self._on_end()

    async def _work(self, one: Deferred, exchange: Exchange) -> None:
        verdict: Ended | Later = Ended("failed", error="something went wrong here; see the log")
        try:
            verdict = await self._answered(one, exchange)
        except asyncio.CancelledError:
            verdict = Later(0.0, is_counted=False)
            raise
        finally:
            await asyncio.shield(self._keep(one, verdict))

    async def _answered(self, one: Deferred, exchange: Exchange) -> Ended | Later:
        caller = caller_of(one)
        try:
            caller = None if caller is None else await self._keys.renewed(caller)
        except Unauthorized as error:
            return _refused(error)
        left_s = max(one.deadline_s - self._book.clock(), 0.0)
        await self._app(scope_of(one, caller, left_s), exchange.receive, exchange.send)
        return exchange.verdict(one)

    async def _keep(self, one: Deferred, verdict: Ended | Later) -> None:
        """Have the book know; nobody else has it before."""
        while True:
            with suppress(EngineError):
                if isinstance(verdict, Later):
                    await asyncio.to_thread(
                        self._book.postpone, one, verdict.pause_s, is_counted=verdict.is_counted
                    )
                else:
                    await asyncio.to_thread(self._book.finish, one, verdict)
                return
            await asyncio.sleep(TROUBLED_S)


def _refused(error: CanteenError) -> Ended:
    status = status_of(error)
    said = json_bytes(problem(error, status)).decode()
    headers = {"content-type": "application/problem+json"}
    return Ended("failed", status, headers, said, error.message)
