"""`canteen bench`: how fast a service answers, and under which load."""

import asyncio
import dataclasses
import math
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from canteen.cli import store
from canteen.core.errors import InvalidRequest

if TYPE_CHECKING:
    from canteen.bench.client import Client
    from canteen.bench.figures import Figures, Run

DURATION_S = 10.0
ROWS = (
    "requests", "prompt tokens", "output tokens/s", "requests/s", "good requests/s", "good share",
    "TTFT median, ms", "p90", "p99",
    "TPOT median, ms", "p90", "p99",
    "ITL median, ms", "p90", "p99",
)  # fmt: skip
POSITIVE = click.FloatRange(0, min_open=True)


class Levels(click.ParamType[tuple[float, ...]]):
    """Numbers above 0 with commas between."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """The numbers; whole ones stay whole."""
        try:
            levels = tuple(float(word) for word in str(value).split(","))
        except ValueError:
            levels = ()
        if not levels or not all(0 < level < math.inf for level in levels):
            self.fail("give numbers above 0 with commas between, as in 1,4,16", param, ctx)
        return tuple(int(level) if level.is_integer() else level for level in levels)


@click.command
@click.argument("url")
@click.option("--model", required=True, help="The model to ask.")
@click.option("--concurrency", type=Levels(), help="Streams at once, as in 1,4,16,32; or 1.")
@click.option("--rate", type=Levels(), help="Requests a second, arriving as Poisson's do.")
@click.option("--requests", type=click.IntRange(1), help="Requests of each level.")
@click.option("--duration", type=POSITIVE, help=f"Seconds of each level; or {DURATION_S:g}.")
@click.option("--prompt-tokens", type=click.IntRange(1), default=128, show_default=True)
@click.option("--max-tokens", type=click.IntRange(1), default=64, show_default=True)
@click.option(
    "--shared-prefix-tokens", type=click.IntRange(0), default=0, help="How much all prompts share."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, help="Another seed, other prompts and arrivals."
)
@click.option(
    "--ignore-eos/--no-ignore-eos",
    default=True,
    help="Answers of full length, by a field that not every service knows.",
)
@click.option("--api-key", help="Sent as a bearer token.")
@click.option("--slo-ttft-ms", type=POSITIVE, help="A good answer begins within it.")
@click.option("--slo-tpot-ms", type=POSITIVE, help="A good answer goes on at this pace.")
@click.option("--deadline-s", type=POSITIVE, help="Told to the service; no request waits longer.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="An .svg or .png.")
@store.as_json
def command(url: str, is_json: bool, plot: Path | None, **options: Any) -> None:
    """Measure the OpenAI-compatible service at URL by streamed chats.

    Each level of --concurrency, or of --rate, is a run of its own.
    """
    from canteen.bench import plot as plots

    if options["rate"] and options["concurrency"]:
        raise InvalidRequest("give --concurrency or --rate, not both")
    if plot is not None:
        plots.check(plot)
    levels = asyncio.run(_measure(url, options))
    load = "rate" if options["rate"] else "concurrency"
    if is_json:
        store.echo_json([{load: level, **_plain(figures)} for level, figures in levels.items()])
    else:
        _print(load, levels)
    if plot is not None:
        plots.draw(plot, levels, load, f"{options['model']} at {url}")


async def _measure(url: str, options: dict[str, Any]) -> "dict[float, Figures]":
    from canteen.bench.client import Client
    from canteen.bench.figures import Figures, Objectives
    from canteen.bench.load import Load

    fields = {field.name for field in dataclasses.fields(Load)}
    load = Load(**{name: value for name, value in options.items() if name in fields})
    objectives = Objectives(
        (options["slo_ttft_ms"] or math.inf) / 1000,
        (options["slo_tpot_ms"] or math.inf) / 1000,
        options["deadline_s"] or math.inf,
    )
    key = options["api_key"]
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    client = Client(url, options["model"], load, headers)
    numbers = count(1)  # over all levels, so that no prompt comes twice
    try:
        await client.check()
        return {
            level: Figures.of(await _run(client, level, numbers, options), objectives)
            for level in options["rate"] or options["concurrency"] or (1,)
        }
    finally:
        client.close()


async def _run(
    client: "Client", level: float, numbers: Iterator[int], options: dict[str, Any]
) -> "Run":
    """One level: so many requests, or so many seconds of them."""
    from canteen.bench.load import poisson
    from canteen.bench.loops import closed_loop, open_loop

    num_requests = options["requests"]
    duration_s = options["duration"] or (math.inf if num_requests else DURATION_S)
    numbers = islice(numbers, num_requests)
    if not options["rate"]:
        return await closed_loop(client.ask, int(level), numbers, duration_s)
    arrivals_s = poisson(level, duration_s, options["seed"])
    return await open_loop(client.ask, arrivals_s, numbers)


def _plain(figures: "Figures") -> dict[str, Any]:
    """The figures as JSON can say them: what there is no figure of is null."""

    def known(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in pairs
        }

    return dataclasses.asdict(figures, dict_factory=known)


def _print(load: str, levels: "dict[float, Figures]") -> None:
    """A column for each level: they are few, and the figures many."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for heading in (load, *(f"{level:g}" for level in levels)):
        table.add_column(heading, justify="right")
    for name, *cells in zip(ROWS, *map(_cells, levels.values()), strict=True):
        table.add_row(name, *cells)
    Console().print(table)
    for level, figures in levels.items():
        for error, number in figures.errors.items():
            click.echo(f"{load} {level:g}: {number} ended with {error}")


def _cells(figures: "Figures") -> Iterator[str]:
    """The figures of a level, in the order of ROWS."""
    yield f"{figures.num_requests}"
    yield f"{figures.prompt_tokens:.0f}"
    yield f"{figures.output_tokens_per_s:.1f}"
    yield f"{figures.requests_per_s:.2f}"
    yield f"{figures.goodput_per_s:.2f}"
    yield f"{figures.good_share:.1%}"
    for spread in (figures.ttft, figures.tpot, figures.itl):
        for value_s in (spread.median, spread.p90, spread.p99):
            yield "-" if math.isnan(value_s) else f"{value_s * 1000:.2f}"
