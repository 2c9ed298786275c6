"""`canteen footprint`: what was eaten and drunk, today and this month."""

import csv
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from canteen.cli import store

# Of models, keys and conversations the overview shows those that ate most; --by shows all.
_MOST_SHOWN = 10
_UJ_PER_WH = 3.6e9
_BARS = "▁▂▃▄▅▆▇█"
_ACCOUNTS = (
    "requests_uj",
    "train_uj",
    "load_uj",
    "idle_uj",
    "unattributed_uj",
    "meter_uj",
)
_CHOICES = ("model", "key", "phase", "hour", "day", "conversation", "account", "node")


@click.command
@click.option("--by", type=click.Choice(_CHOICES), help="Sum by this, not today and this month.")
@click.option("--since", help="From this date or time (ISO 8601, UTC) on.")
@click.option("--until", help="Before this date or time.")
@click.option("--csv", "is_csv", is_flag=True, help="Print CSV.")
@store.as_json
def command(
    by: str | None, since: str | None, until: str | None, is_csv: bool, is_json: bool
) -> None:
    """Say what the answers ate and drank: energy, water, carbon, money."""
    if by is None and since is None and until is None and not is_csv:
        _overview(is_json=is_json)
        return
    summed = _sums(by or "model", since, until)
    if is_json:
        store.echo_json(summed)
    elif is_csv:
        rows = _rows(summed)
        csv.writer(sys.stdout).writerows([rows[0], *rows[1]])
    else:
        _show(summed)


def _overview(*, is_json: bool) -> None:
    """Today and this month, and the month by model, key and conversation."""
    today = datetime.now(UTC).date()
    month = today.replace(day=1).isoformat()
    told = {
        "today": _sums("day", today.isoformat(), None),
        "month": _sums("day", month, None),
        **{name: _sums(name, month, None) for name in ("model", "key", "conversation")},
    }
    if is_json:
        store.echo_json(told)
        return
    for name, summed in told.items():
        if summed["sums"]:
            click.echo({"today": "Today", "month": "This month"}.get(name, f"By {name}"))
            _show(summed if summed["by"] == "day" else _most(summed))
            click.echo()
    if not told["month"]["sums"]:
        click.echo("nothing has been eaten yet this month")


def _most(summed: dict[str, Any]) -> dict[str, Any]:
    """Its groups that ate most, the greatest first."""
    groups = sorted(summed["sums"], key=_energy_uj, reverse=True)
    return {**summed, "sums": groups[:_MOST_SHOWN]}


def _energy_uj(group: dict[str, Any]) -> int:
    return sum(group["energy_uj"].values())


def _sums(by: str, since: str | None, until: str | None) -> dict[str, Any]:
    """From the database, where a running service writes at most a second late."""
    from canteen.metering import sums
    from canteen.metering.store import connect

    settings = store.settings()
    if not settings.database and not (settings.home / "canteen.db").exists():
        empty: dict[str, Any] = dict.fromkeys(_ACCOUNTS, 0) if by == "account" else {"sums": []}
        return {"by": by, **empty}
    database = connect(settings.database or f"sqlite:///{settings.home / 'canteen.db'}")
    return sums.sums(database, by, sums.Span.told(since, until))


def _show(summed: dict[str, Any]) -> None:
    headings, rows = _rows(summed)
    if not rows:
        click.echo("nothing was eaten in this time")
        return
    store.echo_table([heading.upper() for heading in headings], rows)
    energies = [_energy_uj(one) for one in summed.get("sums", ()) if "tokens" in one]
    if sys.stdout.isatty() and summed["by"] in ("hour", "day") and len(energies) > 1:
        click.echo(sparkline(energies))


def _rows(summed: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    by = summed["by"]
    if by == "account":
        return ["account", "uj"], [[key, str(uj)] for key, uj in summed.items() if key in _ACCOUNTS]
    if by == "phase":
        # Of the meter alone: what the facility adds is no phase's.
        rows = [[one["phase"], f"{one['energy_uj'] / _UJ_PER_WH:.4g}"] for one in summed["sums"]]
        return ["phase", "meter_wh"], rows
    headings = [by, "requests", "energy_wh", "site_ml", "source_ml", "carbon_g", "cost_usd"]
    return headings, [_row(by, one) for one in summed["sums"]]


def _row(by: str, one: dict[str, Any]) -> list[str]:
    water = one["water_ml"]
    figures = (one["energy_wh"], water["site"], water["source"], one["carbon_g"], one["cost_usd"])
    told = [f"{figure['central']:.4g}" if figure else "" for figure in figures]
    # What no node has told of is of none.
    return [one[by] or "-" if by == "node" else str(one[by]), str(one["requests"]), *told]


def sparkline(values: Sequence[int]) -> str:
    """A bar for each value, the greatest the highest."""
    most = max(values) or 1
    return "".join(_BARS[value * (len(_BARS) - 1) // most] for value in values)
