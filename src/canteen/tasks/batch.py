"""Many inputs of one task: worked on together, answered in order, each failing by itself."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from canteen.core.errors import CanteenError

I = TypeVar("I")  # noqa: E741
R = TypeVar("R")
# As many as a model has places for, and some to follow at once.
MOST_AT_ONCE = 32


async def each(
    inputs: Iterable[I], work: Callable[[I], Awaitable[R]], most: int = MOST_AT_ONCE
) -> AsyncGenerator[R | CanteenError]:
    """The outcome of each input, in order; an error ends only its own. `most` run at once."""
    running: deque[asyncio.Task[R | CanteenError]] = deque()
    try:
        for one in inputs:
            if len(running) == most:
                yield await running.popleft()
            running.append(asyncio.create_task(_outcome(work(one))))
        while running:
            yield await running.popleft()
    finally:
        for task in running:
            task.cancel()
        for task in running:
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _outcome(work: Awaitable[R]) -> R | CanteenError:
    try:
        return await work
    except CanteenError as error:
        return error
