"""Evaluating, from the answers to a run that is kept, compared and told."""

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from canteen.core.errors import InvalidRequest
from canteen.core.model import Progress
from canteen.lifecycle.evaluate import evaluation, plots, report, runs
from canteen.lifecycle.evaluate.baselines import BASELINES, baselines_for
from canteen.lifecycle.evaluate.examples import (
    TASKS,
    Classified,
    Corrected,
    Dataset,
    Document,
    Failure,
    Marked,
    Outcome,
    Pair,
    Prediction,
    Query,
    Span,
    Summarized,
    Task,
)
from canteen.lifecycle.evaluate.kinds import KINDS
from canteen.lifecycle.evaluate.runs import Run, Subject

SUBJECT = Subject("smollm2:135m", "sha256:0", "classify/1", {"method": "score"})
EVIL = "<script>alert(1)</script> | *x* $y$"


def classified(count: int) -> tuple[Classified, ...]:
    """Texts that say their class; some are in its other words."""
    return tuple(
        Classified(str(place), f"{EVIL} {'cats purr' if place % 2 else 'dogs bark'}", label)
        for place, label in ((place, "cat" if place % 2 else "dog") for place in range(count))
    )


DATASETS: dict[Task, Dataset] = {
    "classify": Dataset(
        "pets", "classify", classified(100), classified(40), ("cat", "dog"), {"cat": "it purrs"}
    ),
    "extract": Dataset(
        "towns", "extract", (Marked("1", "in Ulm", (Span(3, 6, "place"),)),), labels=("place",)
    ),
    "summarize": Dataset("tales", "summarize", (Summarized("1", "A. B. C. D.", "A. B."),)),
    "rewrite": Dataset("errors", "rewrite", (Corrected("1", "he go", "he goes"),)),
    "search": Dataset(
        "things",
        "search",
        (Query("1", "red apples", {"a": 1.0}),),
        documents=(Document("z", "blue sky"), Document("a", "apples are red")),
    ),
    "embed": Dataset(
        "pairs", "embed", (Pair("1", "a b", "a b", 1.0), Pair("2", "a b", "c d", 0.0))
    ),
}
GOLD: dict[Task, list[Outcome]] = {
    "classify": [Prediction(one.label, {one.label: 0.8}) for one in DATASETS["classify"].examples],
    "extract": [(Span(3, 6, "place", "Ulm"),)],
    "summarize": ["A. B."],
    "rewrite": ["he goes"],
    "search": [("a", "z")],
    "embed": [0.9, 0.1],
}


async def evaluated(dataset: Dataset, outcomes: Sequence[Outcome | Failure]) -> Run:
    """A run whose answers are given beforehand."""
    left = list(outcomes)

    async def ask(examples: Sequence[object]) -> Sequence[Outcome | Failure]:
        return [left.pop(0) for _ in examples]

    ticks = iter((1_795_910_400.0, 1_795_910_402.5))
    return await evaluation.evaluate(dataset, ask, SUBJECT, clock=lambda: next(ticks))


async def of_pets(right: int) -> Run:
    """A run on pets with so many right answers, the wrong ones last."""
    gold = DATASETS["classify"].examples
    said = [one.label if place < right else "cow" for place, one in enumerate(gold)]
    return await evaluated(
        DATASETS["classify"], [Prediction(label, {label: 0.9, "x": 0.1}) for label in said]
    )


@pytest.mark.parametrize("task", TASKS)
async def test_right_answers_are_found_right_in_every_task(task: Task) -> None:
    run = await evaluated(DATASETS[task], GOLD[task])

    assert next(iter(run.metrics.values())).value == pytest.approx(1)
    assert run.worst == () or task == "embed"
    assert run.wall_s == 2.5
    assert set(run.baselines) == set(baselines_for(DATASETS[task]))
    assert all(set(found) <= set(run.metrics) for found in run.baselines.values())


@pytest.mark.parametrize("task", TASKS)
async def test_items_that_fail_count_as_empty_answers(task: Task) -> None:
    dataset = DATASETS[task]

    run = await evaluated(dataset, [Failure("too long") for _ in dataset.examples])

    assert next(iter(run.metrics.values())).value == 0
    assert {one.message for one in run.failed} == {"too long"}
    assert "items failed" in report.markdown(run)


@pytest.mark.parametrize("task", TASKS)
async def test_a_run_is_kept_as_it_was(task: Task, tmp_path: Path) -> None:
    run = replace(await evaluated(DATASETS[task], GOLD[task]), receipt={"energy_wh": 0.1})

    runs.save(run, tmp_path)
    found = runs.load(run.id, tmp_path)

    assert found.records == run.records
    assert found.metrics == run.metrics
    assert found.receipt == {"energy_wh": 0.1}
    assert isinstance(found.records[0], KINDS[task].record_type)
    assert [one.difference.value for one in runs.compare(run, found)] == [0] * len(run.metrics)


async def test_answers_are_asked_for_in_batches_and_told_of() -> None:
    sizes, told = list[int](), list[Progress]()

    async def ask(examples: Sequence[Classified]) -> Sequence[Outcome]:
        sizes.append(len(examples))
        return [Prediction("cat") for _ in examples]

    await evaluation.evaluate(DATASETS["classify"], ask, SUBJECT, report=told.append)

    assert sizes == [64, 36]
    assert [one.completed for one in told] == [0, 64, 100]


async def test_nothing_cannot_be_evaluated() -> None:
    with pytest.raises(InvalidRequest, match="no examples"):
        await evaluated(Dataset("none", "classify", ()), [])


async def test_a_better_run_is_told_from_a_worse_one() -> None:
    found = {one.metric: one for one in runs.compare(await of_pets(90), await of_pets(60))}

    assert found["accuracy"].difference.value == pytest.approx(0.3)
    assert found["accuracy"].p_value < 0.01
    assert found["macro_f1"].difference.low > 0
    assert not found["ece"].is_higher_better


async def test_runs_of_other_items_are_not_compared() -> None:
    one = await of_pets(90)
    other = await evaluated(DATASETS["classify"].limited(50), GOLD["classify"][:50])

    with pytest.raises(InvalidRequest, match="other items"):
        runs.compare(one, other)
    with pytest.raises(InvalidRequest, match="one run is of classify"):
        runs.compare(one, await evaluated(DATASETS["embed"], GOLD["embed"]))


async def test_a_run_is_found_by_how_its_id_begins(tmp_path: Path) -> None:
    run = await of_pets(90)
    runs.save(run, tmp_path)
    runs.save(replace(run, id=f"{run.id}-2"), tmp_path)

    assert runs.load(run.id, tmp_path).id == run.id
    for wrong in ("2026", "", "../secrets", "nothing"):
        with pytest.raises(InvalidRequest, match="canteen evaluate --list"):
            runs.load(wrong, tmp_path)
    assert len(runs.ids(tmp_path)) == 2


async def test_the_worst_errors_are_those_that_were_surest() -> None:
    run = await of_pets(95)

    assert [one.id for one in run.worst] == ["95", "96", "97", "98", "99"]
    assert run.worst[0].wanted == "cat"
    assert run.worst[0].given == "cow (0.90)"


def test_a_baseline_of_each_task_answers_every_example() -> None:
    for task, dataset in DATASETS.items():
        for name, make in BASELINES[task].items():
            answers = make(dataset)(dataset.examples)
            assert len(answers) == len(dataset.examples), name


def test_baselines_find_what_they_can() -> None:
    pets, found = DATASETS["classify"], {}
    for name, make in BASELINES["classify"].items():
        records = evaluation.judge(pets, make(pets)(pets.examples))
        found[name] = sum(one.is_right for one in records) / len(records)

    assert found == {"majority": 0.5, "keyword": 0.5, "tfidf + svc": 1.0}
    things = DATASETS["search"]
    assert BASELINES["search"]["tfidf"](things)(things.examples) == [("a", "z")]
    tales = DATASETS["summarize"]
    first = BASELINES["summarize"]["first three sentences"](tales)(tales.examples)
    assert first == ["A. B. C."]


async def test_what_is_taught_needs_something_to_learn_from() -> None:
    assert "tfidf + svc" not in baselines_for(replace(DATASETS["classify"], train=()))


async def test_a_report_escapes_whatever_was_in_the_texts() -> None:
    run = await of_pets(50)
    run = replace(run, subject=replace(SUBJECT, model="<b>|x"))

    page, text = report.html(run), report.markdown(run)

    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<b>" not in page
    assert "\\<script\\>" in text
    rows = [line for line in text.splitlines() if line.startswith("| 5")]
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)


async def test_a_page_stands_alone_with_its_plots() -> None:
    run = await of_pets(90)

    page = report.html(run, runs.compare(run, await of_pets(60)))

    assert page.count("<svg") == 3
    assert not re.search(r'(src|href)="(?!#|data:)', page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for title in ("Reliability", "Confusion matrix", "Worst errors", "Against another run"):
        assert title in page


async def test_plots_are_drawings_that_can_be_read_and_the_same_each_time() -> None:
    run = await of_pets(90)

    drawn = plots.of(run)

    for svg in drawn.values():
        ElementTree.fromstring(svg)
    assert drawn == plots.of(run)


async def test_without_matplotlib_a_page_has_its_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    run = await of_pets(90)
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    page = report.html(run)

    assert "<svg" not in page
    assert "Worst errors" in page


async def test_labels_of_any_script_are_plotted() -> None:
    examples = (Classified("1", "x", "日本$a$"), Classified("2", "y", "_b"))
    dataset = Dataset("any", "classify", examples, labels=("日本$a$", "_b"))

    run = await evaluated(dataset, [Prediction("日本$a$"), Prediction("")])

    assert "日本" in plots.of(run)["Confusion matrix"]


async def test_a_report_says_whether_the_baselines_are_beaten() -> None:
    good, bad = await of_pets(100), await of_pets(10)

    assert report.verdict(good) == (
        "By accuracy it beats every baseline: majority, keyword. "
        "By accuracy it does not beat the peer tfidf + svc."
    )
    assert "does not beat the baseline majority, keyword." in report.verdict(bad)
    assert report.verdict(replace(good, baselines={})) == "No baseline was asked."


@pytest.mark.parametrize("task", TASKS)
async def test_every_task_has_both_reports(task: Task) -> None:
    run = await evaluated(DATASETS[task], GOLD[task])

    assert next(iter(run.metrics)) in report.markdown(run)
    assert report.html(run).endswith("</html>\n")
