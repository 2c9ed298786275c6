"""How well errors are corrected: edits of words against the gold's, as ERRANT counts them.

F0.5 (Dahlmeier and Ng 2012) weighs a wrong correction more than a missed one. Edits are found by
alignment of words alone; they have no types.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from canteen.lifecycle.evaluate.examples import Corrected
from canteen.lifecycle.evaluate.metrics import Metric, f_score, mean, precision, recall

_TOKEN = re.compile(r"\w+(?:['\u2019\-]\w+)*|[^\w\s]")

# The words from `start` to `end` of the source, and what stands there instead.
Edit = tuple[int, int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Record:
    """One text: of the edits that were `given`, `right` are among those `wanted`."""

    id: str
    right: int
    given: int
    wanted: int
    is_exact: bool


def record(example: Corrected, outcome: str) -> Record:
    """Judge one corrected text."""
    given = set(edits(example.source, outcome))
    wanted = set(edits(example.source, example.target))
    is_exact = tokens(outcome) == tokens(example.target)
    return Record(example.id, len(given & wanted), len(given), len(wanted), is_exact)


def names(one: Record) -> set[str]:
    """Nothing: edits have no types."""
    return set()


def score(one: Record) -> float:
    """What it got right less what it got wrong, for each edit there was to make."""
    return (2 * one.right - one.given) / max(one.wanted, 1)


def metrics(records: Sequence[Record], _names: Sequence[str]) -> tuple[Metric, ...]:
    """F0.5 with precision and recall of edits, and how many texts are wholly right."""
    rows = [(one.right, one.given, one.wanted) for one in records]
    return (
        f_score("f0.5", rows, beta=0.5),
        precision("precision", rows),
        recall("recall", rows),
        mean("exact_match", [float(one.is_exact) for one in records]),
    )


def edits(source: str, target: str) -> list[Edit]:
    """The changes that make the target of the source; neighbouring ones are one."""
    before, after = tokens(source), tokens(target)
    merged: list[tuple[int, int, int, int]] = []
    for step in Levenshtein.opcodes(before, after):
        if step.tag == "equal":
            continue
        place = (step.src_start, step.src_end, step.dest_start, step.dest_end)
        if merged and merged[-1][1] == place[0] and merged[-1][3] == place[2]:
            place = (merged[-1][0], place[1], merged.pop()[2], place[3])
        merged.append(place)
    return [(start, end, tuple(after[first:last])) for start, end, first, last in merged]


def tokens(text: str) -> list[str]:
    """Words and punctuation."""
    return _TOKEN.findall(text)
