"""What prompts begin with alike: how much of it is worth keeping, and what was kept of it."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

Tokens = tuple[int, ...]
Kept = TypeVar("Kept")

# A shorter beginning is read again in less time than it is kept and fetched.
LEAST_SHARED = 24
# Tokens of all beginnings kept; while a prompt is read, what is read of it may be more.
MOST_KEPT = 2048


def shared_length(tokens: Tokens, others: Iterable[Tokens], num_known: int) -> int:
    """How many first tokens to read for all: those that save the most when each of the others
    that has them too is spared what is not known yet. 0 where it is not worth while.

    One token at least remains, whose successor is asked for.
    """
    lengths = sorted((common_length(tokens, other) for other in others), reverse=True)
    saved = [(length - num_known) * rank for rank, length in enumerate(lengths, 1)]
    best = max(range(len(saved)), key=saved.__getitem__, default=None)
    if best is None or lengths[best] - num_known < LEAST_SHARED:
        return 0
    return min(lengths[best], len(tokens) - 1)


def common_length(one: Tokens, other: Tokens) -> int:
    """How many first tokens two texts share."""
    most = min(len(one), len(other))
    if one[:most] == other[:most]:
        return most
    return next(index for index in range(most) if one[index] != other[index])


class Beginnings(Generic[Kept]):
    """What was computed of some beginnings; the least recently used go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Tokens, Kept] = OrderedDict()

    def find(self, tokens: Tokens) -> tuple[int, Kept | None]:
        """The longest beginning of `tokens`, not all of them, that is kept: its length, and what
        is kept of it; 0 and None where there is none."""
        shorter = (key for key in self._kept if len(key) < len(tokens))
        alike = (key for key in shorter if key == tokens[: len(key)])
        found = max(alike, key=len, default=None)
        if found is None:
            return 0, None
        self._kept.move_to_end(found)
        return len(found), self._kept[found]

    def keep(self, tokens: Tokens, what: Kept) -> None:
        """Keep what was computed of a beginning, however long it is."""
        self._kept[tokens] = what
        self._kept.move_to_end(tokens)
        self.shorten(least=1)

    def shorten(self, least: int = 0) -> None:
        """Keep no more than there is to be kept, but so many of the last."""
        while len(self._kept) > least and sum(map(len, self._kept)) > MOST_KEPT:
            self._kept.popitem(last=False)
