"""Evaluating: a data set put to whoever answers, judged, and set beside its baselines."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.core.model import Progress
from canteen.lifecycle.evaluate import statistics
from canteen.lifecycle.evaluate.baselines import baselines_for
from canteen.lifecycle.evaluate.examples import Dataset, Failure, Outcome
from canteen.lifecycle.evaluate.kinds import KINDS, metrics
from canteen.lifecycle.evaluate.runs import Failed, Miss, Run, Subject, new_id
from canteen.lifecycle.evaluate.statistics import Interval

NUM_WORST = 10
BATCH = 64
_LONGEST_TEXT = 2000

# Answers a batch of examples, in their order: an outcome of the task's kind for each, or a
# Failure. What it raises ends the evaluation.
Ask = Callable[[Sequence[Any]], Awaitable[Sequence[Outcome | Failure]]]


async def evaluate(
    dataset: Dataset,
    ask: Ask,
    subject: Subject,
    *,
    report: Callable[[Progress], object] = lambda _progress: None,
    clock: Callable[[], float] = time.time,
) -> Run:
    """Put every example to `ask`, in batches; the baselines answer the same ones.

    The time is that of the answers alone. Raises InvalidRequest for a data set without examples.
    """
    if not dataset.examples:
        raise InvalidRequest("the data set has no examples", param="data")
    started_s = clock()
    answers = await _ask_all(dataset.examples, ask, report)
    wall_s = clock() - started_s
    nothing = KINDS[dataset.task].nothing
    outcomes = [nothing if isinstance(one, Failure) else one for one in answers]
    records = judge(dataset, outcomes)
    return Run(
        id=new_id(dataset.task, dataset.name, started_s),
        task=dataset.task,
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        source=dataset.source,
        subject=subject,
        created_at=datetime.fromtimestamp(started_s, UTC).isoformat(timespec="seconds"),
        wall_s=wall_s,
        records=records,
        outcomes=tuple(outcomes),
        metrics=intervals(dataset, records),
        baselines=await asyncio.to_thread(beside, dataset),
        failed=_failed(dataset, answers),
        worst=_worst(dataset, records, outcomes),
    )


def judge(dataset: Dataset, outcomes: Sequence[Outcome]) -> tuple[Any, ...]:
    """A record for each example."""
    kind = KINDS[dataset.task]
    return tuple(map(kind.record, dataset.examples, outcomes))


def intervals(dataset: Dataset, records: Sequence[Any]) -> Mapping[str, Interval]:
    """All metrics of the records with their intervals, by name."""
    found = metrics(dataset.task, records)
    return {one.name: statistics.interval(one) for one in found}


def beside(dataset: Dataset) -> Mapping[str, Mapping[str, Interval]]:
    """The metrics of each baseline on the examples."""
    return {
        name: intervals(dataset, judge(dataset, make(dataset)(dataset.examples)))
        for name, make in baselines_for(dataset).items()
    }


async def _ask_all(
    examples: Sequence[Any], ask: Ask, report: Callable[[Progress], object]
) -> list[Outcome | Failure]:
    answers: list[Outcome | Failure] = []
    for start in range(0, len(examples), BATCH):
        report(Progress("evaluating", completed=start, total=len(examples)))
        batch = examples[start : start + BATCH]
        given = await ask(batch)
        assert len(given) == len(batch), "an answer for each example"
        answers += given
    report(Progress("evaluating", completed=len(examples), total=len(examples)))
    return answers


def _failed(dataset: Dataset, answers: Sequence[Outcome | Failure]) -> tuple[Failed, ...]:
    pairs = zip(dataset.examples, answers, strict=True)
    return tuple(Failed(one.id, said.message) for one, said in pairs if isinstance(said, Failure))


def _worst(
    dataset: Dataset, records: Sequence[Any], outcomes: Sequence[Outcome]
) -> tuple[Miss, ...]:
    """The answers with the lowest scores; those that are all right are not among them."""
    kind = KINDS[dataset.task]
    places = sorted(range(len(records)), key=lambda place: kind.score(records[place]))
    found = []
    for place in places[:NUM_WORST]:
        example = dataset.examples[place]
        if kind.score(records[place]) < 1:
            shown = (one[:_LONGEST_TEXT] for one in kind.show(example, outcomes[place]))
            found.append(Miss(example.id, *shown))
    return tuple(found)
