"""What `canteen evaluate` prints and writes: data sets and runs there are, and one run."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import msgspec

from canteen.cli import store
from canteen.core.errors import InvalidRequest
from canteen.lifecycle.evaluate import datasets, report, runs
from canteen.lifecycle.evaluate.runs import Run
from canteen.lifecycle.evaluate.statistics import Comparison, Interval

_REPORTS = {".md": report.markdown, ".html": report.html}
# What each example has; the file of the run keeps it.
_LONG = ("records", "outcomes")


def tell_list(home: Path, *, is_json: bool) -> None:
    """The built-in data sets, and the runs that were kept."""
    sets = [
        {name: getattr(one, name) for name in ("name", "task", "rows", "licence", "about")}
        for one in datasets.built_in()
    ]
    kept = list(runs.ids(home))
    if is_json:
        store.echo_json({"datasets": sets, "runs": kept})
        return
    store.echo_table(
        ("DATA SET", "TASK", "ROWS", "LICENCE", "ABOUT"),
        [tuple(str(value) for value in one.values()) for one in sets],
    )
    if kept:
        click.echo()
        store.echo_table(("RUN",), [(one,) for one in kept])


def check_report(path: Path | None) -> None:
    """Raises InvalidRequest for a file that no report can be written to."""
    if path is None:
        return
    if path.suffix not in _REPORTS:
        raise InvalidRequest("a report is an .md or .html file", param="report")
    if not path.parent.is_dir():
        raise InvalidRequest("the folder of the report is not there", param="report")


def write_report(path: Path, run: Run, comparisons: Sequence[Comparison]) -> None:
    """Write the report in the form that the file's name asks for."""
    path.write_text(_REPORTS[path.suffix](run, comparisons), encoding="utf-8")


def tell(run: Run, comparisons: Sequence[Comparison], *, is_json: bool) -> None:
    """The figures of a run beside its baselines', and how it compares."""
    if is_json:
        store.echo_json({**_plain(run), "comparisons": msgspec.to_builtins(comparisons)})
        return
    click.echo(f"{run.task} on {run.dataset}, {run.num_items} examples in {run.wall_s:.1f} s")
    click.echo(report.verdict(run))
    if run.failed:
        click.echo(f"{len(run.failed)} failed: {run.failed[0].message}")
    click.echo()
    rows = [
        (name, *(_shown(found.get(name)) for found in (run.metrics, *run.baselines.values())))
        for name in run.metrics
    ]
    store.echo_table(("METRIC", run.subject.model, *run.baselines), rows)
    if comparisons:
        click.echo()
        store.echo_table(("METRIC", "THIS", "OTHER", "DIFFERENCE", "P"), map(_row, comparisons))
    click.echo()
    if run.receipt:
        click.echo(report.eaten(run.receipt))
    click.echo(f"kept as {run.id}")


def _plain(run: Run) -> dict[str, Any]:
    """All of a run but what is of each example."""
    told = {one.name: getattr(run, one.name) for one in fields(run) if one.name not in _LONG}
    plain: dict[str, Any] = msgspec.to_builtins({**told, "num_items": run.num_items})
    return plain


def _row(one: Comparison) -> tuple[str, ...]:
    figures = (f"{one.one:.3f}", f"{one.other:.3f}", _shown(one.difference))
    return (one.metric, *figures, f"{one.p_value:.3f}")


def _shown(one: Interval | None) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" if one else ""
