"""Writes docs/evaluation.md of runs: a section for each task, a table for each data set."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from canteen.lifecycle.evaluate import datasets, report, runs
from canteen.lifecycle.evaluate.examples import Task
from canteen.lifecycle.evaluate.runs import Run
from canteen.lifecycle.evaluate.statistics import Interval

PAGE = Path(__file__).parents[1] / "docs" / "evaluation.md"
NOTE = "<!-- Made by `make evaluation`; do not edit. -->\n"
METRICS: Mapping[Task, Sequence[str]] = {
    "classify": ("accuracy", "macro_f1", "ece", "nll"),
    "extract": ("f1_exact", "precision_exact", "recall_exact", "f1_partial", "grounded"),
    "summarize": ("rouge_l", "faithful_facts", "faithful_words", "words"),
    "rewrite": ("f0.5", "precision", "recall", "exact_match"),
    "search": ("ndcg_at_10", "recall_at_1", "recall_at_10", "recall_at_100", "mrr"),
    "embed": ("spearman",),
}
ABOUT: Mapping[Task, str] = {
    "classify": "`default` takes the label whose meaning is nearest to the text's by the embedding "
    "model; `by score` weighs the labels by the language model and takes off what it prefers "
    "whatever it reads; `not debiased` does not take that off; `calibrated` is `by score`, fitted "
    "to 200 texts of the train part, and `with a head` to 2,000 by the embedding model. `tfidf + "
    "svc` learned from the whole train part; VADER's authors rated the three two-class sentiment "
    "sets, so it is at home there.",
    "extract": "`default` finds what has a form of its own by patterns, and types other names by "
    "the embedding model; `lists` asks the language model to write them. spaCy is "
    "en_core_web_sm, of its types only people, places (GPE, LOC) and organizations.",
    "summarize": "The gold is a sentence or two; ROUGE-L is not stemmed. `faithful_facts` is the "
    "share of a summary's numbers and names that the text has, `faithful_words` that of its "
    "content words.",
    "rewrite": "`grammar_only`, on sentences with no to three errors made by rule; a correction "
    "that was not wanted weighs double (F0.5).",
    "search": "By the embedding model and BM25 (`default`), and by each alone. The documents of "
    "`semanlink` are short tags, those of `mail-subjects` whole mails.",
    "embed": "Spearman's rank correlation of the cosine with what people said.",
}

# What a row was done in, and its run.
Done = tuple[str, Run]


def write(done: Sequence[Done]) -> None:
    """Write the page."""
    PAGE.write_text(page(done), encoding="utf-8")


def page(done: Sequence[Done]) -> str:
    """The page, of runs in the order of its sections, each data set's default first."""
    sections = [
        _section(task, list(found)) for task, found in groupby(done, lambda one: one[1].task)
    ]
    return "\n".join([NOTE, *_head(done), *sections])


def _head(done: Sequence[Done]) -> Iterable[str]:
    days = sorted(run.created_at[:10] for _, run in done)
    models = sorted({f"`{run.subject.model}` ({run.subject.digest[:19]})" for _, run in done})
    return (
        "# How well it goes\n",
        f"Every task on the built-in data sets, with {' and '.join(models)}, run from "
        f"{days[0]} to {days[-1]}. `make evaluation` runs it again, "
        "[`canteen evaluate`](guide/evaluate.md) any part of it, also with another model: "
        "`canteen evaluate TASK --data SET --model NAME`. The default model has 135 M parameters: "
        "these are its honest figures; a larger one may do better.\n",
        "In brackets are 95 % intervals by bootstrap over the examples. To beat is to have an "
        "interval wholly above the other's. Energy is of all the run took, fitting and indexing "
        "included, and is modelled where the machine has no meter. *Trivial* baselines say what "
        "a number is worth; *peers* are what somebody would use instead.\n",
    )


def _section(task: Task, done: Sequence[Done]) -> str:
    tables = [_table(list(found)) for _, found in groupby(done, lambda one: one[1].dataset)]
    return "\n".join([f"## {task.title()}\n", _verdict(done), "", f"{ABOUT[task]}\n", *tables])


def _verdict(done: Sequence[Done]) -> str:
    """Where the default does not beat a trivial baseline, before anything else."""
    default = [run for way, run in done if way == "default"]
    lost = {run.dataset: report.unbeaten(run, report.baselines(run)) for run in default}
    said = [f"{name} ({', '.join(left)})" for name, left in lost.items() if left]
    metric = METRICS[done[0][1].task][0]
    if said:
        return f"**By {metric} the default does not beat a baseline on {'; '.join(said)}.**"
    return f"By {metric} the default beats every trivial baseline on {', '.join(lost)}."


def _table(done: Sequence[Done]) -> str:
    first = done[0][1]
    entry = next(one for one in datasets.built_in() if one.name == first.dataset)
    names = METRICS[first.task]
    head = ["", *names, "Wh per 1,000", "against default"]
    rows = [
        [_titled(way, run, first), *_cells(run.metrics, names), _energy(run), _against(run, first)]
        for way, run in done
    ]
    for kind, others in (("peer", report.peers(first)), ("trivial", report.baselines(first))):
        rows += [[f"{kind}: {one}", *_cells(first.baselines[one], names), "", ""] for one in others]
    about = f"{entry.about}; {first.num_items:,} of {entry.rows:,} examples; {entry.licence}."
    lines = [f"### {first.dataset}\n", f"{about[0].upper()}{about[1:]}\n", _row(head)]
    lines += [_row(["---"] * len(head)), *map(_row, rows), ""]
    return "\n".join([*lines, *_by_type(first), *_failed(done)])


def _titled(way: str, run: Run, first: Run) -> str:
    """The way, and its number of examples where that is another than the first's."""
    return way if run.num_items == first.num_items else f"{way} ({run.num_items:,} examples)"


def _cells(found: Mapping[str, Interval], names: Sequence[str]) -> list[str]:
    return [_shown(found[name]) if name in found else "" for name in names]


def _shown(one: Interval) -> str:
    digits = 0 if one.high >= 10 else 3
    return f"{one.value:.{digits}f} [{one.low:.{digits}f}, {one.high:.{digits}f}]"


def _energy(run: Run) -> str:
    if not run.receipt:
        return "0"
    energy = run.receipt["energy_wh"]
    low, central, high = (1000 * energy[one] / run.num_items for one in ("low", "central", "high"))
    return f"{central:.2g} [{low:.2g}, {high:.2g}]"


def _against(run: Run, first: Run) -> str:
    """How much better than the first, item by item, by the first metric."""
    if run is first or [one.id for one in run.records] != [one.id for one in first.records]:
        return ""
    found = runs.compare(run, first)[0]
    return f"{_shown(found.difference)}, p = {found.p_value:.3f}"


def _by_type(run: Run) -> list[str]:
    if run.task != "extract":
        return []
    start = "f1_exact["
    each = {
        name.removeprefix(start)[:-1]: one
        for name, one in run.metrics.items()
        if name.startswith(start)
    }
    return [f"F1 by type: {', '.join(f'{name} {_shown(one)}' for name, one in each.items())}.\n"]


def _failed(done: Sequence[Done]) -> list[str]:
    failed = [
        f"{way}, {len(run.failed)}: {run.failed[0].message}" for way, run in done if run.failed
    ]
    return [f"Failed, which counts as an empty answer: {'; '.join(failed)}.\n"] if failed else []


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
