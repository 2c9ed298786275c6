"""A process that is started again whenever it ends."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0


async def kept_alive(
    live: Callable[[], Awaitable[bool]], ended: Callable[[float], None], closing: asyncio.Event
) -> None:
    """Live again and again until `closing`, or until `live` says that it was the last time. `ended`
    is told after how many seconds the next life begins: soon, and later each time, unless there was
    a long one between."""
    loop = asyncio.get_running_loop()
    waits = _pauses()
    while not closing.is_set():
        started_s = loop.time()
        if not await live() or closing.is_set():
            return
        if loop.time() - started_s > STEADY_S:
            waits = _pauses()
        pause_s = next(waits)
        ended(pause_s)
        with suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), pause_s)


def _pauses() -> "itertools.chain[float]":
    doubling = (FIRST_PAUSE_S * 2**i for i in range(8))
    return itertools.chain(doubling, itertools.repeat(LONGEST_PAUSE_S))
