"""A run told to people: the same report as Markdown and as one page of HTML."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import msgspec

from canteen.lifecycle.evaluate import plots
from canteen.lifecycle.evaluate.baselines import PEERS
from canteen.lifecycle.evaluate.runs import Run
from canteen.lifecycle.evaluate.statistics import Comparison, Interval
from canteen.lifecycle.page import listed, page, table

_MOST_COLUMNS = 12
# What means something in Markdown; not so an underscore inside a word.
_MARK = re.compile(r"[\\`*\[\]<>|#~$]|(?<!\w)_|_(?!\w)")
_SHORT_TEXT = 300


@dataclass(frozen=True, slots=True)
class Table:
    """Cells in rows under a head, below a heading."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def markdown(run: Run, comparisons: Sequence[Comparison] = ()) -> str:
    """The report as Markdown; `comparisons` are those of `runs.compare(run, other)`."""
    parts = [f"# {_md(_title(run))}", *(f"* {_md(line)}" for line in _facts(run)), ""]
    parts += [f"**{_md(verdict(run))}**", ""]
    for one in _tables(run, comparisons):
        parts += [f"## {one.title}", "", _row(one.head), _row(["---"] * len(one.head))]
        parts += [*(_row([_md(cell) for cell in row]) for row in one.rows), ""]
    return "\n".join(parts)


def html(run: Run, comparisons: Sequence[Comparison] = ()) -> str:
    """The report as a page that needs nothing else; with plots where they can be drawn."""
    tables = [table(one.head, one.rows, one.title) for one in _tables(run, comparisons)]
    drawn = [f"<h2>{escape(title)}</h2>\n{svg}" for title, svg in plots.of(run).items()]
    told = f"<p><strong>{escape(verdict(run))}</strong></p>"
    body = [listed(_facts(run)), told, tables[0], *drawn, *tables[1:]]
    return page(_title(run), "\n".join(body))


def verdict(run: Run) -> str:
    """Whether it beats each trivial baseline, then each peer, by the first of its metrics.

    Beating is having an interval wholly above.
    """
    name = next(iter(run.metrics))
    sentences = []
    for which, others in (("baseline", baselines(run)), ("peer", peers(run))):
        if left := unbeaten(run, others):
            sentences.append(f"By {name} it does not beat the {which} {', '.join(left)}.")
        elif others:
            sentences.append(f"By {name} it beats every {which}: {', '.join(others)}.")
    return " ".join(sentences) or "No baseline was asked."


def baselines(run: Run) -> list[str]:
    """The trivial ones that it stands beside."""
    return [title for title in run.baselines if title not in PEERS]


def peers(run: Run) -> list[str]:
    """What somebody would really use instead."""
    return [title for title in run.baselines if title in PEERS]


def unbeaten(run: Run, others: Sequence[str]) -> list[str]:
    """Those of them that it does not beat by the first of its metrics."""
    name, ours = next(iter(run.metrics.items()))
    return [title for title in others if ours.low <= run.baselines[title][name].high]


def eaten(receipt: Mapping[str, Any]) -> str:
    """What a run ate and drank, of its receipt, in a line."""
    tokens, water = receipt["tokens"], receipt["water_ml"]
    drunk = " and ".join(f"{_figure(water[place])} mL at the {place}" for place in water)
    return (
        f"{tokens['prompt']:,} tokens read and {tokens['completion']:,} written took "
        f"{_figure(receipt['energy_wh'])} Wh, {drunk} and {_figure(receipt['carbon_g'])} g of CO2 "
        f"(receipt {receipt['id']})"
    )


def _figure(told: Mapping[str, float]) -> str:
    return f"{told['central']:.3g} [{told['low']:.3g}, {told['high']:.3g}]"


def _title(run: Run) -> str:
    return f"{run.task} on {run.dataset}: {run.subject.model}"


def _facts(run: Run) -> list[str]:
    subject = run.subject
    facts = [
        f"run {run.id}, {run.num_items} items in {run.wall_s:.1f} s",
        f"model {subject.model} {subject.digest}".strip(),
        f"data {run.dataset} {run.dataset_digest}",
        f"prompt {subject.prompt_version}" if subject.prompt_version else "",
        *(
            f"{title}: {_listed(values)}" if values else ""
            for title, values in (
                ("source", run.source),
                ("settings", subject.settings),
            )
        ),
        eaten(run.receipt) if run.receipt else "",
    ]
    if run.failed:
        facts.append(f"{len(run.failed)} items failed and count as empty answers")
    return [fact for fact in facts if fact]


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {_value(value)}" for key, value in values.items())


def _value(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _tables(run: Run, comparisons: Sequence[Comparison]) -> list[Table]:
    tables = [_metrics(run)]
    if comparisons:
        tables.append(_comparisons(comparisons))
    if run.task == "classify" and len(plots.labels(run.records)) <= _MOST_COLUMNS:
        tables.append(_confusion(run))
    if run.worst:
        rows = [(one.id, one.text, one.wanted, one.given) for one in run.worst]
        short = [[_cut(cell) for cell in row] for row in rows]
        tables.append(Table("Worst errors", ("item", "text", "wanted", "given"), short))
    if run.failed:
        rows_failed = [(one.id, one.message) for one in run.failed[:_MOST_COLUMNS]]
        tables.append(Table("Failed items", ("item", "why"), rows_failed))
    return tables


def _metrics(run: Run) -> Table:
    head = ("metric", run.subject.model, *run.baselines)
    rows = [
        (name, _shown(one), *(_shown(found.get(name)) for found in run.baselines.values()))
        for name, one in run.metrics.items()
    ]
    return Table("Metrics with 95 % intervals", head, rows)


def _comparisons(comparisons: Sequence[Comparison]) -> Table:
    rows = [
        (
            one.metric,
            f"{one.one:.4f}",
            f"{one.other:.4f}",
            _shown(one.difference),
            f"{one.p_value:.4f}",
        )
        for one in comparisons
    ]
    head = ("metric", "this run", "the other", "difference", "p")
    return Table("Against another run on the same items", head, rows)


def _confusion(run: Run) -> Table:
    names = plots.labels(run.records)
    shown = [name or "(no answer)" for name in names]
    counts = plots.matrix(run.records, names)
    rows = [(name, *map(str, row)) for name, row in zip(shown, counts, strict=True)]
    return Table("Gold classes in rows, answers in columns", ("", *shown), rows)


def _shown(one: Interval | None) -> str:
    return f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})" if one else ""


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT_TEXT else f"{text[:_SHORT_TEXT]}…"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _md(text: str) -> str:
    """A text of anybody's as a line of Markdown that is only text."""
    plain = " ".join(text.split())
    return _MARK.sub(r"\\\g<0>", plain)
