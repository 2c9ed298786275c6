"""The end of service: new requests are refused, running ones may finish, then all is ended."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Receive, Scope, Send


class Drain:
    """Counts what runs and ends it when told to; one for an application."""

    def __init__(self) -> None:
        self.is_refusing = False
        self.num_running = 0
        self._endings: set[Callable[[], None]] = set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """A request runs for the time of the block."""
        self.num_running += 1
        self._is_idle.clear()
        try:
            yield
        finally:
            self.num_running -= 1
            if self.num_running == 0:
                self._is_idle.set()

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator[None]:
        """`end` is called if the time to finish runs out within the block."""
        self._endings.add(end)
        try:
            yield
        finally:
            self._endings.discard(end)

    async def until_idle(self, timeout_s: float) -> bool:
        """Wait until nothing runs; False if something still does."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._is_idle.wait()
        except TimeoutError:
            return False
        return True

    def end_all(self) -> None:
        """End what still runs, each with its dialect's error."""
        for end in list(self._endings):
            end()


class Counting:
    """ASGI: what is served is known to the drain, and finds it in its scope."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["canteen.drain"] = self._drain
        with self._drain.running():
            await self._app(scope, receive, send)
