"""`canteen audit`: whether the record of who asked for what is whole, and what stands in it."""

import json
from collections import deque
from dataclasses import asdict
from pathlib import Path

import click

from canteen.cli import store
from canteen.core.errors import InvalidRequest
from canteen.metering.audit import book
from canteen.metering.audit.files import files

FILE = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The audit's file; by default the one in CANTEEN_HOME.",
)


@click.group
def command() -> None:
    """The audit of a service that is set to keep one (CANTEEN_AUDIT).

    Each command has --json.
    """


@command.command
@FILE
@click.option("--noted", default="", help="The hash of a record that must be there.")
@store.as_json
def verify(path: Path | None, noted: str, is_json: bool) -> None:
    """Follow the chain of hashes, through full files too; exit status 1 if a record was changed,
    dropped or moved.

    That the end was cut off shows no chain: note the hash of the last record elsewhere (each line
    of the access log has its request's), and give it as --noted.
    """
    verdict = book.verify(_there(path), noted)
    if is_json:
        store.echo_json({"is_whole": verdict.is_whole, **asdict(verdict)})
    elif verdict.fault:
        click.echo(f"{verdict.file}, line {verdict.line}: {verdict.fault}")
    elif not verdict.has_noted:
        click.echo("the record that was noted is missing: the end was cut off")
    else:
        num = verdict.head.num_records
        told = f"{num} records" if verdict.first == 1 else f"records {verdict.first} to {num}"
        click.echo(f"{told}, whole; the last is {verdict.head.hash}")
    if not verdict.is_whole:
        raise SystemExit(1)


@command.command
@FILE
@click.option("--last", default=20, show_default=True, help="How many records.")
@store.as_json
def show(path: Path | None, last: int, is_json: bool) -> None:
    """The last records: when, who, what, and how it went."""
    records = _last(_there(path), last)
    if is_json:
        store.echo_json(records)
        return
    told = ("time", "event", "who", "method", "route", "model", "decision", "receipt_id")
    rows = [[str(record.get(name, "")) for name in told] for record in records]
    store.echo_table([name.upper() for name in told], rows)


def _there(path: Path | None) -> Path:
    """The audit's file; raises InvalidRequest where there is none."""
    path = path or store.settings().home / book.FOLDER / book.FILE
    if not path.exists():
        raise InvalidRequest("there is no audit here; CANTEEN_AUDIT=1 lets a service keep one")
    return path


def _last(path: Path, num: int) -> list[dict[str, str]]:
    records: list[dict[str, str]] = []
    for one in reversed(files(path)):
        with one.open("rb") as lines:
            whole = [line for line in deque(lines, num - len(records)) if line.endswith(b'"}\n')]
        records[:0] = map(json.loads, whole)
        if len(records) >= num:
            break
    return records
