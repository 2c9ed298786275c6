"""The difference of two texts, word by word."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from rapidfuzz.distance import Indel

Op = Literal["equal", "insert", "delete", "replace"]

# A word goes with the space before it, so that spaces do not hold words together.
_TOKEN = re.compile(r"\s*(?:\w+(?:['\u2019-]\w+)*|[^\w\s])|\s+")

# Of words of one text and the other; a bit of memory each.
MOST_PAIRS = 100_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """What stood `before` and what stands there `after`."""

    op: Op
    before: str
    after: str


def diff(before: str, after: str) -> list[Change]:
    """Changes in order, whose parts are all of both texts; no two equal ones, nor two others,
    follow each other. Very long texts, which it would take too much memory to compare, are told
    as one change."""
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    if before and len(old) * len(new) > MOST_PAIRS:
        return [_change(before, after)]
    return joined(
        _change("".join(old[step.src_start : step.src_end]), "".join(new[a:b]))
        for step in Indel.opcodes(old, new)
        for a, b in [(step.dest_start, step.dest_end)]
    )


def joined(changes: Iterable[Change]) -> list[Change]:
    """The same changes, neighbours of one kind put together."""
    return list(_joined(changes))


def _joined(changes: Iterable[Change]) -> Iterator[Change]:
    before = after = ""
    was_equal = True
    for one in changes:
        is_equal = one.op == "equal"
        if is_equal != was_equal and (before or after):
            yield _change(before, after)
            before = after = ""
        before, after, was_equal = before + one.before, after + one.after, is_equal
    if before or after:
        yield _change(before, after)


def _change(before: str, after: str) -> Change:
    if before == after:
        return Change("equal", before, after)
    if not before or not after:
        return Change("delete" if before else "insert", before, after)
    return Change("replace", before, after)


def changed(before: str, after: str) -> float:
    """What share of the words of both texts is not common to them, from 0 to 1."""
    return float(Indel.normalized_distance(_TOKEN.findall(before), _TOKEN.findall(after)))
