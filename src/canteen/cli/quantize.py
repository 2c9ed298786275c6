"""`canteen quantize`: what each format of a model's weights costs and gains, measured here."""

import asyncio
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from canteen.cli import store
from canteen.core.errors import InvalidRequest
from canteen.core.model import full_name

if TYPE_CHECKING:
    from canteen.lifecycle.evaluate.examples import Dataset
    from canteen.lifecycle.quantize.comparing import Plan, Tradeoff


class Share(click.ParamType[float]):
    """A share as 1.5% or 0.015; more than all of it only as a percentage."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The share; of a percentage its hundredth."""
        text = str(value).strip()
        try:
            number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 10 or math.isnan(number):
            self.fail("give a share from 0, as in 1.5% or 0.015", param, ctx)
        if number > 1 and not text.endswith("%"):
            self.fail(f"{text} would be {number:.0%}; write {text}% if you mean that", param, ctx)
        return number


FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command
@click.argument("model")
@click.option("--compare", "formats", default="int8,int4,int4-awq,nf4,f16", show_default=True)
@click.option(
    "--task", default="movie-sentiment", show_default=True, help="A data set to classify."
)
@click.option("--no-task", is_flag=True, help="Leave the task out.")
@click.option("--limit", type=click.IntRange(2), default=200, show_default=True, help="Examples.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--max-loss", type=Share(), default="1.5%", show_default=True)
@click.option("--plot", type=FILE, help="A drawing, .svg.")
@click.option("--report", type=FILE, help="A page, .html.")
@click.option("--keep", metavar="NAME", help="Keep the recommended format under this name.")
@store.as_json
def command(model: str, formats: str, keep: str | None, is_json: bool, **asked: Any) -> None:
    """Bring MODEL into several formats, measure each, and recommend the smallest that will do.

    Loss is of perplexity, against the float model. What is made for the comparison is removed
    afterwards, but for what --keep names; the figures are kept, and the console shows them.
    Nothing else should be busy meanwhile.
    """
    _check_files(asked)
    plan = _plan(model, formats, asked)
    keep = keep and full_name(keep)
    made = asyncio.run(_measured(plan, _dataset(asked), keep, is_json=is_json))
    _write(made, asked)
    if keep and made.recommended and not is_json:
        click.echo(f"{keep} is in the store")


def _plan(model: str, formats: str, asked: dict[str, Any]) -> "Plan":
    from canteen.lifecycle.quantize.comparing import Plan
    from canteen.lifecycle.quantize.formats import read

    names = list(dict.fromkeys(name.strip() for name in formats.split(",") if name.strip()))
    if not names:
        raise InvalidRequest("name formats to compare, as in int8,int4", param="compare")
    forms = [read(name) for name in names]
    return Plan(full_name(model), forms, asked["max_loss"], asked["rounds"], not asked["no_task"])


def _dataset(asked: dict[str, Any]) -> "Dataset | None":
    from canteen.lifecycle.evaluate import datasets

    if asked["no_task"]:
        return None
    return datasets.load(asked["task"], "classify", store.settings().home).limited(asked["limit"])


async def _measured(
    plan: "Plan", dataset: "Dataset | None", keep: str | None, *, is_json: bool
) -> "Tradeoff":
    from canteen.cli.quantizing import LocalBench
    from canteen.lifecycle.quantize.comparing import compare

    def tell(text: str) -> None:
        if not is_json:
            click.echo(text, err=True)

    bench: LocalBench = LocalBench(store.services(), plan.model, dataset)
    try:
        await store.ensure(bench.services, plan.model, is_quiet=is_json)
        made = await compare(plan, bench, tell)
        _say(made, is_json=is_json)
        if keep and made.recommended:
            bench.keep(made.recommended, keep)
        return made
    finally:
        await bench.close()


def _say(made: "Tradeoff", *, is_json: bool) -> None:
    import msgspec

    from canteen.lifecycle.quantize import records, telling

    told = {**msgspec.to_builtins(made), "verdict": made.verdict}
    records.save(told, store.settings().home, time.time())
    if is_json:
        store.echo_json(told)
        return
    store.echo_table(telling.HEAD, telling.rows(made))
    click.echo()
    for line in (*telling.facts(made), made.verdict):
        click.echo(line)


def _check_files(asked: dict[str, Any]) -> None:
    """Raises InvalidRequest for files that cannot be written, before the long work."""
    from canteen.lifecycle.drawing import is_available

    for name, suffix in (("plot", ".svg"), ("report", ".html")):
        path: Path | None = asked[name]
        if path is not None and (path.suffix != suffix or not os.access(path.parent, os.W_OK)):
            raise InvalidRequest(
                f"--{name} is a file {suffix} in a folder that is there and can be written to",
                param=name,
            )
    if asked["plot"] and not is_available():
        raise InvalidRequest(
            "plots need matplotlib: pip install 'canteen-llm[bench]'", param="plot"
        )


def _write(made: "Tradeoff", asked: dict[str, Any]) -> None:
    from canteen.lifecycle.quantize import telling

    if asked["plot"]:
        asked["plot"].write_text(telling.plot(made), "utf-8")
    if asked["report"]:
        asked["report"].write_text(telling.html(made), "utf-8")
