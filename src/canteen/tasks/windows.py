"""A long text in overlapping windows, each an exact slice that a model can read at once."""

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import TypeVar

from canteen.core.errors import CanteenError, InvalidOutput, InvalidRequest
from canteen.tasks.batch import each
from canteen.tasks.model import Model
from canteen.tasks.sentences import Span

R = TypeVar("R")

# A small model loses its way in more.
MOST_CHARACTERS = 2_000
LEAST_CHARACTERS = 200
# What stands on the edge of one window stands within another.
OVERLAP = 0.15
# Beside the prompt and the answer; some scripts take more than one token a character.
_CHARACTERS_A_TOKEN = 0.25
# Where a window best ends, the best first.
_ENDS = tuple(map(re.compile, (r"\n\s*\n", r"[.!?…。！？]\W*\s|[。！？]|\n", r"\s")))  # noqa: RUF001


async def read(
    model: Model, text: str, work: Callable[[Span], Awaitable[R]]
) -> tuple[list[R], list[Span]]:
    """What came of each window, and the windows for which the model gave no valid answer.

    Raises InvalidOutput where that is all of them.
    """
    spans = await _windows_for(model, text)
    done, unread = list[R](), list[Span]()
    async with aclosing(each(spans, work)) as outcomes:
        for span in spans:
            outcome = await anext(outcomes)
            if not isinstance(outcome, CanteenError):
                done.append(outcome)
            elif _is_no_answer(outcome):
                unread.append(span)
            else:
                raise outcome
    if not done:
        raise InvalidOutput("the model gave no valid answer; ask for less, or use another model")
    return done, unread


def _is_no_answer(error: CanteenError) -> bool:
    """Whether the text was one that the model does not come to an end with."""
    return isinstance(error, InvalidOutput) or error.code == "max_tokens_too_small"


async def _windows_for(model: Model, text: str) -> list[Span]:
    room = int(await model.context_length() * _CHARACTERS_A_TOKEN)
    if room < LEAST_CHARACTERS:
        raise InvalidRequest(
            f"model '{model.name}' has too small a context for this task; use another",
            param="model",
        )
    return list(windows(text, min(room, MOST_CHARACTERS)))


def windows(text: str, characters: int) -> Iterator[Span]:
    """Windows of at most `characters`, in order, that together hold the text.

    Each begins before the end of the one before, where a word begins if one does.
    """
    start = 0
    while start + characters < len(text):
        end = _end(text, start, start + characters)
        yield Span(start, end)
        back = end - max(1, int(characters * OVERLAP))
        blank = text.find(" ", back, end)
        start = max(start + 1, back if blank < 0 else blank + 1)
    yield Span(start, len(text))


def _end(text: str, start: int, most: int) -> int:
    """The end of a paragraph, a sentence or a word in the last third; or the very last place."""
    for pattern in _ENDS:
        ends = [found.end() for found in pattern.finditer(text, most - (most - start) // 3, most)]
        if ends:
            return ends[-1]
    return most
