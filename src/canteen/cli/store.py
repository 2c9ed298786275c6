"""What the verbs share: the settings in force, the store, and a model that is surely there."""

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from canteen.core.errors import InvalidRequest, ModelNotFound
from canteen.core.model import full_name
from canteen.runtime.catalog import Catalog, kept_said
from canteen.settings import Settings

if TYPE_CHECKING:
    from canteen.bootstrap import Services

as_json = click.option("--json", "is_json", is_flag=True, help="Print JSON.")


def settings(**overrides: Any) -> Settings:
    """The settings of the environment, with what an option says over them."""
    given = {name: value for name, value in overrides.items() if value is not None}
    return dataclasses.replace(Settings.from_env(), **given)


def credentials(settings: Settings) -> dict[str, str]:
    """The header that shows a service our key, where we have one."""
    return {"authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}


def services() -> "Services":
    """Everything wired, with nothing loaded."""
    from canteen.bootstrap import build

    return build(settings())


def catalog() -> Catalog:
    """The store."""
    return Catalog(settings().home)


def tell_kept(kept_as: str) -> None:
    """Say of a model that it is kept, where the name that it had was given to another."""
    if kept_as:
        click.echo(kept_said(kept_as), err=True)


async def ensure(services: "Services", model: str, *, is_quiet: bool = False) -> None:
    """Pull a model of the menu that is not in the store yet; raises ModelNotFound."""
    from canteen.cli.show_progress import show
    from canteen.runtime.menu import find

    try:
        services.catalog.get(model)
    except ModelNotFound:
        if find(full_name(model)) is None:
            raise
        await show(services.pull(model), is_quiet=is_quiet)


def piped() -> str:
    """What is piped into the program, nothing on a terminal; raises InvalidRequest."""
    if sys.stdin.isatty():
        return ""
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as exc:
        raise InvalidRequest("standard input is not UTF-8 text") from exc


def echo_json(value: Any) -> None:
    """Print JSON for people and programs."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def echo_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns, whole even where they go into a pipe."""
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def human_bytes(size: float) -> str:
    """A size in the unit that suits it, of powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in ("B", "kB") else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def compact_json(value: Any) -> str:
    """JSON on one line, for logs."""
    return json.dumps(value, ensure_ascii=False)
