"""`canteen plan`: what a model takes, before it is loaded, bought or trained."""

import datetime
from pathlib import Path
from typing import Any

import click

from canteen.cli import plan_text, store
from canteen.cli.options import options_of
from canteen.core.errors import InvalidRequest
from canteen.planning import calibration, report
from canteen.planning.explain import explained
from canteen.planning.plan import plan
from canteen.planning.request import PlanRequest
from canteen.planning.result import Here, Plan
from canteen.planning.subject import Subject, of_file, of_name
from canteen.planning.this_host import hourly_price, processor, this_host
from canteen.runtime.memory import machine_bytes


@click.command
@click.argument("model", required=False)
@options_of(PlanRequest, leave_out="model")
@click.option("--article", is_flag=True, help="Check the numbers of the article instead.")
@click.option("--explain", is_flag=True, help="Show the arithmetic with its sources.")
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="A .svg or .png file."
)
@store.as_json
def command(
    model: str | None,
    is_json: bool,
    article: bool,
    explain: bool,
    plot: Path | None,
    **asked: Any,
) -> None:
    """Say what MODEL takes: memory, time, money, energy and water.

    MODEL is a name, a GGUF file, a config.json, or a count of parameters such as 7B. Without
    --device or --instance it is planned on this machine.
    """
    if article:
        _article(asked["as_of"], is_json=is_json)
        return
    if not model:
        raise InvalidRequest("name a model, such as llama3.1:8b, a file, or a count such as 7B")
    if plot is not None:
        from canteen.cli import plan_plot

        plan_plot.check(plot)
    request = PlanRequest(model, **asked)
    made = plan(request, _subject(model), _here(), datetime.date.today())
    _say(made, is_json=is_json, explain=explain)
    if plot is not None:
        plan_plot.draw(plot, made)


def _here() -> Here:
    told = store.settings()
    price = hourly_price(told.price_usd_per_h, told.instance, told.region)
    assumed = this_host(machine_bytes(), processor())
    device, constants = calibration.applied(assumed, calibration.load(told.home / calibration.FILE))
    return Here(device, told.region, told.provider, price, constants)


def _subject(model: str) -> Subject:
    """A file where there is one, else a name."""
    path = Path(model)
    if path.suffix in (".gguf", ".json") or path.is_file():
        return of_file(path)
    return of_name(model, {card.name: card for card in store.catalog().list()})


def _say(made: Plan, *, is_json: bool, explain: bool) -> None:
    if is_json:
        more = {"arithmetic": explained(made)} if explain else {}
        store.echo_json(report.as_json(made) | more)
        return
    for line in plan_text.explained(explained(made)) if explain else plan_text.lines(made):
        click.echo(line)


def _article(as_of: str | None, *, is_json: bool) -> None:
    from canteen.planning.article import claims

    today = datetime.date.today()
    day = PlanRequest(as_of=as_of).day(today)
    if day > today:
        raise InvalidRequest(f"nobody knows the prices of {day}; give a day up to today")
    found = claims(day)
    if is_json:
        store.echo_json(report.article(found))
        return
    for line in plan_text.article(found):
        click.echo(line)
