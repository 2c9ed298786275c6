"""How well spans are found, counted as SemEval 2013 task 9 does: exactly, by bounds, by type."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from canteen.lifecycle.evaluate.examples import Marked, Span
from canteen.lifecycle.evaluate.metrics import (
    Metric,
    f_score,
    mean,
    precision,
    ratio,
    recall,
)

# A span that overlaps its gold without the same bounds, where bounds are asked for.
_PART = 0.5


@dataclass(frozen=True, slots=True)
class Record:
    """Counts of one text: `exact` by bounds and type, `partial` by bounds alone (an overlap is a
    half), `typed` by type alone. `by_type` has `(exact, given, wanted)`. `quoted` of the spans
    came with a quote, and `grounded` of those have it at their place.
    """

    id: str
    given: int
    wanted: int
    exact: int
    partial: float
    typed: int
    quoted: int
    grounded: int
    by_type: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)


def record(example: Marked, outcome: Sequence[Span]) -> Record:
    """Judge the spans found in one text; the same span twice counts once."""
    given = list(dict.fromkeys(Span(one.start, one.end, one.type) for one in outcome))
    wanted = list(dict.fromkeys(Span(one.start, one.end, one.type) for one in example.spans))
    pairs = _paired(given, wanted)
    same = [(one, gold) for one, gold in pairs if _bounds(one) == _bounds(gold)]
    exact = [gold for one, gold in same if one.type == gold.type]
    quoted = [one for one in outcome if one.quote]
    return Record(
        example.id,
        len(given),
        len(wanted),
        len(exact),
        len(same) + _PART * (len(pairs) - len(same)),
        sum(one.type == gold.type for one, gold in pairs),
        len(quoted),
        sum(example.text[one.start : one.end] == one.quote for one in quoted),
        _by_type(exact, given, wanted),
    )


def names(one: Record) -> set[str]:
    """The types of spans that are in gold or answers."""
    return set(one.by_type)


def score(one: Record) -> float:
    """Its exact F1."""
    both = one.given + one.wanted
    return 2 * one.exact / both if both else 1.0


def metrics(records: Sequence[Record], types: Sequence[str]) -> tuple[Metric, ...]:
    """F1 of the three countings, precision and recall of the exact one, and F1 of each type."""
    exact = [(one.exact, one.given, one.wanted) for one in records]
    quoted = [(one.grounded, one.quoted) for one in records]
    return (
        f_score("f1_exact", exact),
        precision("precision_exact", exact),
        recall("recall_exact", exact),
        f_score("f1_partial", [(one.partial, one.given, one.wanted) for one in records]),
        f_score("f1_type", [(one.typed, one.given, one.wanted) for one in records]),
        mean("texts_right", [float(score(one) == 1) for one in records]),
        ratio("grounded", quoted, of_nothing=1.0),
        *(
            f_score(f"f1_exact[{each}]", [one.by_type.get(each, (0, 0, 0)) for one in records])
            for each in types
        ),
    )


def _paired(given: Sequence[Span], wanted: Sequence[Span]) -> list[tuple[Span, Span]]:
    """Each span with at most one gold that it overlaps, the best matches first."""
    overlaps = [(one, gold) for one in given for gold in wanted if _overlap(one, gold) > 0]
    pairs: list[tuple[Span, Span]] = []
    taken: set[tuple[bool, Span]] = set()
    for one, gold in sorted(overlaps, key=lambda pair: _closeness(*pair), reverse=True):
        if (True, one) not in taken and (False, gold) not in taken:
            taken |= {(True, one), (False, gold)}
            pairs.append((one, gold))
    return pairs


def _closeness(one: Span, gold: Span) -> tuple[bool, bool, int]:
    return _bounds(one) == _bounds(gold), one.type == gold.type, _overlap(one, gold)


def _overlap(one: Span, gold: Span) -> int:
    return min(one.end, gold.end) - max(one.start, gold.start)


def _bounds(one: Span) -> tuple[int, int]:
    return one.start, one.end


def _by_type(
    exact: Sequence[Span], given: Sequence[Span], wanted: Sequence[Span]
) -> dict[str, tuple[int, int, int]]:
    counts = [Counter(one.type for one in spans) for spans in (exact, given, wanted)]
    found = sorted(set(counts[1]) | set(counts[2]))
    return {each: (counts[0][each], counts[1][each], counts[2][each]) for each in found}
