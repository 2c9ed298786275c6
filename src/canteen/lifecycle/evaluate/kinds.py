"""What each task's examples, outcomes and records are, and how they are judged: one row a task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from canteen.lifecycle.evaluate import (
    classification,
    corrections,
    entities,
    retrieval,
    similarity,
    summaries,
)
from canteen.lifecycle.evaluate.examples import (
    Classified,
    Corrected,
    Marked,
    Pair,
    Prediction,
    Query,
    Span,
    Summarized,
    Task,
)
from canteen.lifecycle.evaluate.metrics import Metric


@dataclass(frozen=True, slots=True)
class Kind:
    """A task's row. `nothing` is the outcome that a failed item counts as; `show` puts what an
    example asked, what was wanted and what was answered into words.
    """

    example: type[Any]
    record_type: type[Any]
    record: Callable[[Any, Any], Any]
    names: Callable[[Any], set[str]]
    score: Callable[[Any], float]
    metrics: Callable[[Sequence[Any], Sequence[str]], tuple[Metric, ...]]
    nothing: Any
    show: Callable[[Any, Any], tuple[str, str, str]]


def _spans(spans: Sequence[Span], text: str) -> str:
    return "; ".join(f"{one.type}: {text[one.start : one.end]}" for one in spans) or "(none)"


def _relevant(query: Query) -> str:
    return ", ".join(query.relevant)


def _prediction(outcome: Prediction) -> str:
    sure = outcome.probabilities.get(outcome.label)
    return outcome.label if sure is None else f"{outcome.label} ({sure:.2f})"


KINDS: dict[Task, Kind] = {
    "classify": Kind(
        Classified,
        classification.Record,
        classification.record,
        classification.names,
        classification.score,
        classification.metrics,
        Prediction(""),
        lambda one, said: (one.text, one.label, _prediction(said)),
    ),
    "extract": Kind(
        Marked,
        entities.Record,
        entities.record,
        entities.names,
        entities.score,
        entities.metrics,
        (),
        lambda one, said: (one.text, _spans(one.spans, one.text), _spans(said, one.text)),
    ),
    "summarize": Kind(
        Summarized,
        summaries.Record,
        summaries.record,
        summaries.names,
        summaries.score,
        summaries.metrics,
        "",
        lambda one, said: (one.text, one.summary, said),
    ),
    "rewrite": Kind(
        Corrected,
        corrections.Record,
        corrections.record,
        corrections.names,
        corrections.score,
        corrections.metrics,
        "",
        lambda one, said: (one.source, one.target, said),
    ),
    "search": Kind(
        Query,
        retrieval.Record,
        retrieval.record,
        retrieval.names,
        retrieval.score,
        retrieval.metrics,
        (),
        lambda one, said: (one.text, _relevant(one), ", ".join(said[:10])),
    ),
    "embed": Kind(
        Pair,
        similarity.Record,
        similarity.record,
        similarity.names,
        similarity.score,
        similarity.metrics,
        0.0,
        lambda one, said: (f"{one.first}\n{one.second}", f"{one.rating:g}", f"{said:g}"),
    ),
}


def metrics(task: Task, records: Sequence[Any], others: Sequence[Any] = ()) -> tuple[Metric, ...]:
    """The metrics of records; those of `others` only see to it that the rows are of the same
    classes, as a comparison needs."""
    kind = KINDS[task]
    names = set().union(*(kind.names(one) for one in (*records, *others)))
    return kind.metrics(records, sorted(names))
