"""`canteen prompt`: prompts of one's own, which are tasks of the service."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from canteen.cli import store
from canteen.cli.task import json_lines, say
from canteen.core.errors import InvalidRequest
from canteen.runtime.prompts import PromptStore, StoredPrompt
from canteen.tasks import prompted
from canteen.tasks.doing import Item
from canteen.tasks.prompt_file import PromptFile, parsed
from canteen.tasks.prompt_inputs import plain_input


@click.group
def command() -> None:
    """Prompts of your own: templates with declared inputs, which the service answers as tasks.

    Each command has --json.
    """


@command.command
@click.argument("name")
@click.argument("file", type=click.File(encoding="utf-8"))
@store.as_json
def add(name: str, file: Any, is_json: bool) -> None:
    """Store FILE as the prompt NAME; as another version, where it is changed."""
    try:
        source = file.read()
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"{Path(file.name).name} is not UTF-8 text") from exc
    prompted.check(name, source)
    stored = _prompts().put(name, source)
    if is_json:
        store.echo_json(_described(stored))
    else:
        click.echo(f"{stored.name} is in version {stored.version}")


@command.command
@store.as_json
def ls(is_json: bool) -> None:
    """The prompts there are."""
    rows = [_described(one) for one in _prompts().list()]
    if is_json:
        store.echo_json(rows)
    elif not rows:
        click.echo("there are no prompts; `canteen prompt add NAME FILE` adds one")
    else:
        store.echo_table(("NAME", "VERSION", "INPUTS", "DESCRIPTION"), map(_row, rows))


@command.command
@click.argument("name")
@store.as_json
def show(name: str, is_json: bool) -> None:
    """The source of the prompt NAME, or of its version NAME@2."""
    stored = _prompts().get(name)
    if is_json:
        store.echo_json(_described(stored))
    else:
        click.echo(stored.source)


@command.command
@click.argument("names", nargs=-1, required=True)
@store.as_json
def rm(names: tuple[str, ...], is_json: bool) -> None:
    """Remove the prompts NAMES, with all their versions."""
    prompts = _prompts()
    for name in names:
        prompts.get(name)
    for name in names:
        prompts.remove(name)
    if is_json:
        store.echo_json({"removed": list(names)})
    else:
        click.echo(f"removed {', '.join(names)}")


@command.command
@click.argument("name")
@click.option("--input", "pairs", multiple=True, metavar="KEY=VALUE", help="An input's value.")
@click.option(
    "--jsonl",
    type=click.File("rb"),
    help="Many: lines of JSON, each an object of inputs, or a string; - is standard input.",
)
@click.option("--model", help="The model that answers; or the prompt's own, or the default one.")
@store.as_json
def run(name: str, pairs: tuple[str, ...], jsonl: Any, model: str | None, is_json: bool) -> None:
    """Answer the prompt NAME, or its version NAME@2, for these inputs.

    Where it takes but one text, standard input may be that.
    """
    stored = _prompts().get(name)
    file = parsed(stored.source)
    items: list[Item] = [_given(file, pairs)] if jsonl is None else list(_lines(jsonl, pairs))
    task = prompted.task(stored.name, stored.version, stored.source)
    say(task, model or file.model or None, items, {}, is_json=is_json or jsonl is not None)


def _prompts() -> PromptStore:
    return PromptStore(store.settings().home)


def _described(stored: StoredPrompt) -> dict[str, Any]:
    return {**dataclasses.asdict(stored), **prompted.described(stored.source)}


def _row(told: dict[str, Any]) -> tuple[str, ...]:
    inputs = ", ".join(told.get("inputs", ()))
    about = str(told.get("description", told.get("problem")))
    return told["name"], str(told["version"]), inputs, about.partition("\n")[0]


def _given(file: PromptFile, pairs: tuple[str, ...]) -> Item:
    if not pairs and plain_input(file.inputs):
        return store.piped()
    return dict(_pair(file, pair) for pair in pairs)


def _pair(file: PromptFile, pair: str) -> tuple[str, Any]:
    key, mark, text = pair.partition("=")
    if not mark:
        raise InvalidRequest(f"'{pair}' is not KEY=VALUE", param="input")
    # A name that is not declared is told with those that are.
    declared = file.inputs.get(key)
    return key, declared.read(key, text) if declared else text


def _lines(jsonl: Any, pairs: tuple[str, ...]) -> Iterator[Item]:
    if pairs:
        raise InvalidRequest("give --input or --jsonl, and not both", param="jsonl")
    for number, value in json_lines(jsonl, "jsonl"):
        yield _line(number, value)


def _line(number: int, value: Any) -> Item:
    if not isinstance(value, str | dict):
        raise InvalidRequest(f"line {number} is no object of inputs", param="jsonl")
    return value
