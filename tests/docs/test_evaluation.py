"""docs/evaluation.md: which runs it is made of, and what it says of them."""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks import evaluation_page
from benchmarks.evaluation import PEER_OF, ROWS
from canteen.lifecycle.evaluate import datasets, evaluation
from canteen.lifecycle.evaluate.baselines import PEERS
from canteen.lifecycle.evaluate.examples import TASKS, Classified, Dataset, Outcome, Prediction
from canteen.lifecycle.evaluate.runs import Run, Subject

LABELS = ("negative", "positive")
EXAMPLES = tuple(Classified(f"{at}", f"text {at}", LABELS[at % 2]) for at in range(60))
DATASET = Dataset("movie-sentiment", "classify", EXAMPLES, labels=LABELS)


async def run_of(outcomes: Sequence[Outcome]) -> Run:
    async def ask(examples: Sequence[object]) -> Sequence[Outcome]:
        return outcomes[: len(examples)]

    return await evaluation.evaluate(DATASET, ask, Subject("smollm2:135m", "sha256:0"))


def right(count: int) -> list[Outcome]:
    """So many right answers, then wrong ones."""
    said = [one.label if at < count else "neither" for at, one in enumerate(EXAMPLES)]
    return [Prediction(label) for label in said]


def test_every_built_in_set_is_on_the_page_in_its_default_way() -> None:
    known = {one.name: one.task for one in datasets.built_in()}

    defaults = [(row.dataset, row.task) for row in ROWS if row.way == "default"]

    assert sorted(defaults) == sorted(known.items())
    assert len({row.id for row in ROWS}) == len(ROWS)
    assert set(PEER_OF) <= set(known)
    assert set(PEER_OF.values()) <= PEERS


async def test_a_section_begins_with_what_is_not_beaten() -> None:
    lost = evaluation_page.page([("default", await run_of(right(30)))])
    won = evaluation_page.page([("default", await run_of(right(60)))])

    start = "## Classify\n\n"
    assert f"{start}**By accuracy the default does not beat a baseline on movie-sentiment (" in lost
    assert f"{start}By accuracy the default beats every trivial baseline on movie-sentiment." in won


async def test_ways_are_compared_item_by_item_and_peers_told_apart() -> None:
    default, better = await run_of(right(20)), await run_of(right(60))
    peered = replace(default, baselines={**default.baselines, "vader": better.metrics})

    told = evaluation_page.page([("default", peered), ("with a head", better)])

    assert "| peer: vader | 1.000 [1.000, 1.000] |" in told
    assert "| trivial: majority | " in told
    assert "0.667 [" in next(line for line in told.splitlines() if "with a head | 1" in line)


def test_the_page_that_is_committed_has_every_task() -> None:
    page = evaluation_page.PAGE.read_text()

    assert [f"## {task.title()}" for task in TASKS if f"\n## {task.title()}\n" not in page] == []
