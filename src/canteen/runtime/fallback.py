"""Asking one model after another until one begins to answer, and again those that say when."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar

from canteen.core.errors import (
    CanteenError,
    EngineError,
    ModelNotFound,
    ModelUnsuitable,
    Overloaded,
)
from canteen.core.model import ModelCard

Piece = TypeVar("Piece")
Ask = Callable[[ModelCard], AsyncGenerator[Piece]]

MOST_TRIES = 3
# Somebody who has set no deadline waits no longer than this for another try.
LONGEST_WAIT_S = 20.0
# What may be well the next time. All others either say so, or concern the request.
_PASSING = ("upstream_busy", "upstream_unavailable", "upstream_unreachable")
FIRST_PAUSE_S = 0.2


async def answered(
    cards: Sequence[ModelCard], ask: Ask[Piece], deadline_s: float | None = None
) -> AsyncGenerator[Piece]:
    """The pieces of the first model that gives one; the others are tried only before that.

    Where all have failed and one of them may be well soon, they are asked again, as long as what
    it asks to wait is before the deadline (of `time.monotonic`). Raises the last error.
    """
    for tries in range(1, MOST_TRIES + 1):
        errors = list[CanteenError]()
        for card in cards:
            is_begun = False
            try:
                async with aclosing(ask(card)) as pieces:
                    async for piece in pieces:
                        is_begun = True
                        yield piece
                return
            except (EngineError, Overloaded, ModelNotFound, ModelUnsuitable) as error:
                if is_begun:
                    raise
                errors.append(error)
        pause_s = _pause_s(errors, tries, deadline_s)
        if pause_s is None:
            raise _kindest(errors)
        await asyncio.sleep(pause_s)


async def one(pieces: AsyncGenerator[Piece]) -> Piece:
    """The piece of an answer that has only one."""
    async with aclosing(pieces):
        return await anext(pieces)


def _pause_s(errors: Sequence[CanteenError], tries: int, deadline_s: float | None) -> float | None:
    """Seconds until another try makes sense; None where none does."""
    waits_s = [_wait_s(error, tries) for error in errors if error.code in _PASSING]
    left_s = LONGEST_WAIT_S
    if deadline_s is not None:
        left_s = min(left_s, deadline_s - time.monotonic())
    if not waits_s or tries == MOST_TRIES or min(waits_s) >= left_s:
        return None
    return min(waits_s)


def _wait_s(error: CanteenError, tries: int) -> float:
    """What it asks for, and a little more each time, so that not all come back at once."""
    asked_s = error.retry_after_s if isinstance(error, Overloaded) else 0.0
    longest_s = FIRST_PAUSE_S * float(2 ** (tries - 1))
    return asked_s + random.uniform(0.0, longest_s)  # noqa: S311 - no secret


def _kindest(errors: Sequence[CanteenError]) -> CanteenError:
    """The one that tells the caller to come back, and soonest; else the last."""
    busy = [error for error in errors if isinstance(error, Overloaded)]
    return min(busy, key=lambda error: error.retry_after_s) if busy else errors[-1]
