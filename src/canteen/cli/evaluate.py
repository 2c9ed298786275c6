"""`canteen evaluate`: how well a task is done, on labelled data."""

import asyncio
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from canteen.cli import store
from canteen.core.errors import EngineError, InvalidRequest

if TYPE_CHECKING:
    from canteen.lifecycle.evaluate.runs import Run


@click.command
@click.argument("what", required=False, metavar="[TASK|RUN]")
@click.option("--data", help="A built-in data set by its name, or a JSONL file of your own.")
@click.option("--model", help="The model that answers, or embeds; or the default one.")
@click.option("--limit", type=click.IntRange(1), help="A sample of so many examples.")
@click.option("--classifier", help="A classifier of yours, to be evaluated.")
@click.option(
    "--fit",
    type=click.Choice(("score", "head")),
    help="Fit a classifier to a sample of the data set's train part first, and evaluate that.",
)
@click.option("--option", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of TASK.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a report to this file, .md or .html.",
)
@click.option("--compare", metavar="RUN", help="A run to compare with, on the same examples.")
@click.option("--list", "is_list", is_flag=True, help="The built-in data sets, and your runs.")
@store.as_json
def command(
    what: str | None,
    report: Path | None,
    compare: str | None,
    is_list: bool,
    is_json: bool,
    **asked: Any,
) -> None:
    """Put a data set to TASK (classify, extract, summarize, rewrite, search or embed), judge the
    answers, and keep the run. Or tell of a RUN that was kept, by what its id begins with;
    `canteen evaluate NEW --compare OLD` compares two. Exit status 1 if nothing was answered.
    """
    from canteen.cli import evaluate_text as text
    from canteen.lifecycle.evaluate import runs

    home = store.settings().home
    if is_list:
        text.tell_list(home, is_json=is_json)
        return
    text.check_report(report)
    other = None if compare is None else runs.load(compare, home)
    kept = _kept(what, asked)
    run = kept or _evaluated(what, asked)
    comparisons = () if other is None else runs.compare(run, other)
    if report is not None:
        text.write_report(report, run, comparisons)
    text.tell(run, comparisons, is_json=is_json)
    if kept is None and len(run.failed) == run.num_items:
        raise EngineError(
            f"none of the {run.num_items:,} examples got an answer, so the figures say nothing of "
            f"{run.subject.model}; the first failed because {run.failed[0].message}",
            code="nothing_answered",
        )


def _kept(what: str | None, asked: dict[str, Any]) -> "Run | None":
    """The run that was named, where it was none of the tasks."""
    from canteen.lifecycle.evaluate import runs
    from canteen.lifecycle.evaluate.examples import TASKS

    if not what or what in TASKS:
        return None
    home = store.settings().home
    if asked["data"] or not any(one.startswith(what) for one in runs.ids(home)):
        near = get_close_matches(what, TASKS, n=1) or TASKS
        raise InvalidRequest(
            f"no task or run '{what}'; did you mean {' or '.join(near)}? "
            "canteen evaluate --list shows the runs"
        )
    return runs.load(what, home)


def _evaluated(what: str | None, asked: dict[str, Any]) -> "Run":
    from canteen.cli import evaluating
    from canteen.lifecycle.evaluate import datasets, runs

    if not what or not asked["data"]:
        raise InvalidRequest(
            "name a task, and its data with --data; canteen evaluate --list shows what there is",
            param="data",
        )
    services = store.services()
    wish = evaluating.wished(what, asked, services.settings.default_model)
    dataset = datasets.load(asked["data"], wish.task, services.settings.home)
    if wish.limit:
        dataset = dataset.limited(wish.limit)
    with click.progressbar(
        length=len(dataset.examples),
        file=sys.stderr,
        show_pos=True,
        hidden=not sys.stderr.isatty(),
    ) as bar:
        run = asyncio.run(evaluating.evaluated(services, wish, dataset, lambda: bar.update(1)))
    runs.save(run, services.settings.home)
    return run
