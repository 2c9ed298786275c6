"""Work that is looked for again and again beside everything else."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from canteen.core.errors import EngineError

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
# A database that cannot be used is not asked every second.
TROUBLED_S = 5.0


class Turns:
    """Does `turn` until it is closed: at once when woken, and every so often by itself."""

    def __init__(
        self,
        turn: Callable[[], Awaitable[None]],
        every_s: float = LOOK_EVERY_S,
        troubled_s: float = TROUBLED_S,
    ) -> None:
        self._turn = turn
        self._every_s = every_s
        self._troubled_s = troubled_s
        self._news = asyncio.Event()
        self._going: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._going = asyncio.ensure_future(self._go())

    def wake(self) -> None:
        """There may be something to do."""
        self._news.set()

    async def close(self) -> None:
        """End, and wait for the turn under way."""
        if self._going is not None:
            self._going.cancel()
            with suppress(asyncio.CancelledError):
                await self._going

    async def _go(self) -> None:
        while True:
            self._news.clear()
            pause_s = self._every_s
            try:
                await self._turn()
            except EngineError as error:
                logger.warning("work in the background waits: %s", error.message)
                pause_s = self._troubled_s
            except Exception:
                # Whoever left something must not wait for ever because of one bad turn.
                logger.exception("a turn of work in the background failed")
                pause_s = self._troubled_s
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._news.wait()
