"""Work that is looked for again and again beside everything else."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from canteen.core.errors import EngineError

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
# A database that cannot be used is not asked every second.
TROUBLED_S = 5.0
# A turn under way may come to its end, but not for ever.
_LAST_TURN_S = 5.0
# What those are told whose work met a fault of ours.
FAULT = "something went wrong here; the log has it"
T = TypeVar("T")


async def guarded(
    work: Awaitable[T], instead: T, said: str = "some work in the background failed"
) -> T:
    """What comes of some work; `instead` where it meets a fault of ours, which is logged. Whoever
    left something must not wait for ever because of what another left."""
    try:
        return await work
    except Exception:
        logger.exception(said)
        return instead


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
        self._is_closing = False
        self._going: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._going = asyncio.ensure_future(self._go())

    def wake(self) -> None:
        """There may be something to do."""
        self._news.set()

    async def close(self) -> None:
        """End after the turn under way, if that is soon done."""
        self._is_closing = True
        self._news.set()
        if self._going is not None:
            await asyncio.wait([self._going], timeout=_LAST_TURN_S)
            self._going.cancel()
            with suppress(asyncio.CancelledError):
                await self._going

    async def _go(self) -> None:
        while not self._is_closing:
            self._news.clear()
            is_good = await guarded(self._turned(), instead=False)
            pause_s = self._every_s if is_good else self._troubled_s
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._news.wait()

    async def _turned(self) -> bool:
        """Whether a turn was done without trouble."""
        try:
            await self._turn()
        except EngineError as error:
            logger.warning("work in the background waits: %s", error.message)
            return False
        return True
