"""Writes the pages of docs/reference from the program itself."""

import ast
import dataclasses
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from canteen.api.dialects import DIALECTS
from canteen.api.documenting import describe
from canteen.cli.main import main as program
from canteen.cli.plan_text import told
from canteen.core.version import VERSION
from canteen.planning.article import Claim, claims
from canteen.settings import Settings
from docs.asyncapi import asyncapi

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Made by `make docs`; do not edit. -->\n"
SOURCE = Path(__file__).parents[1] / "src" / "canteen"
# The day that this release's prices are of.
PRICED_ON = datetime.date(2026, 11, 23)
METHODS = ("get", "head", "post", "put", "patch", "delete")


def pages() -> dict[str, str]:
    """Every generated page by its file name."""
    return {
        "settings.md": settings(),
        "cli.md": cli(),
        "http-api.md": http_api(),
        "asyncapi.json": message_api(),
        "modules.md": modules(),
        "../the-article.md": the_article(),
    }


def the_article() -> str:
    """The article's numbers, worked out again for the day of this release's prices."""
    sections = "".join(_claim(one) for one in claims(PRICED_ON))
    return (
        f"{NOTE}# The article, checked\n\n"
        "Canteen answers an article of October 2023 about large language models in enterprise Java "
        "applications: they are hungry for memory, hardware and money, thirsty for energy and "
        "water, and so belong into a service of their own. Here is each of its numbers, computed "
        "by the planner from sourced facts: what gives it, and whether it still holds. `canteen "
        "plan --article` prints the same for the day it is asked on, `--as-of` for another, and "
        f"`--json` adds every bound. The column *today* is of {PRICED_ON}.\n\n"
        "Intervals are P5 and P95 ([uncertainty](methodology/uncertainty.md)). What was published "
        "with different boundaries, such as the water of a whole life cycle, is shown beside, and "
        "never divided by the other.\n"
        f"{sections}"
    )


def _claim(one: Claim) -> str:
    rows = "".join(
        f"| {when} | {figure.name} | {figure.formula} | {told(figure.result)} |\n"
        for when, figures in (("then", one.then), ("today", one.today))
        for figure in figures
    )
    standing = one.standing[0].upper() + one.standing[1:]
    table = f"| when | what | formula | result |\n|---|---|---|---|\n{rows}"
    return f"\n## {one.claim}\n\n{standing}.\n\n{table}{_sources(one)}"


def _sources(one: Claim) -> str:
    """Where its numbers are from, each once."""
    known = {
        f"{told.source}, {told.as_of}": None
        for figure in (*one.then, *one.today)
        for told in figure.result.inputs
    }
    lines = "".join(f"* {line}\n" for line in known)
    return f"\nSources:\n\n{lines}" if lines else ""


def modules() -> str:
    """The page of modules: the first line of each."""
    lines = [NOTE, "# Modules\n"]
    folder = None
    for path in sorted(SOURCE.rglob("*.py"), key=lambda path: (path.parent, path.name)):
        about = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
        if path.parent != folder:
            folder = path.parent
            lines.append(f"\n## {folder.relative_to(SOURCE.parent)}\n\n")
        lines.append(f"* `{path.name}`: {about}\n")
    return "".join(lines)


def settings() -> str:
    """The page of settings: one row each."""
    rows = "".join(
        f"| `{one.metadata['variable']}` | {one.metadata['meaning']} | {_default(one)} |\n"
        for one in dataclasses.fields(Settings)
    )
    return (
        f"{NOTE}# Settings\n\nRead when `canteen` starts: what an option says, else the "
        "environment, else the TOML file that `CANTEEN_CONFIG` names (`max_queue = 64` there is "
        "`CANTEEN_MAX_QUEUE=64`), else the default. With `_FILE` behind its name, a variable names "
        "a file that has the value, as secrets do. A bad value stops the start and names the "
        "variable; `canteen settings` shows what is in force and where it is from.\n\n"
        "| variable | meaning | default |\n|---|---|---|\n"
        f"{rows}"
    )


def cli() -> str:
    """The page of commands: the help of each."""
    program.name = "canteen"
    sections = "".join(
        f"\n## {context.command_path}\n\n```text\n{_help(context)}\n```\n"
        for context in _contexts(program, None)
    )
    return f"{NOTE}# Command line\n{sections}"


def http_api() -> str:
    """The page of routes: one row each, by the dialect that answers."""
    document = describe(DIALECTS, VERSION)
    rows = sorted(
        (path, method.upper(), operation.get("summary", ""), operation["x-canteen-scope"])
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    )
    table = "".join(
        f"| `{method} {path}` | {summary} | {scope} |\n" for path, method, summary, scope in rows
    )
    return (
        f"{NOTE}# HTTP API\n\nBodies are those of Ollama's and of OpenAI's own documentation; "
        "`/openapi.json` of a running server has every field. Keys of a body that nobody looks at "
        "are named in the answer's header `x-canteen-ignored`. The scope is what a caller's key "
        "needs, where [keys](../guide/keys.md) are asked for.\n\n| route | what it does | scope |\n"
        f"|---|---|---|\n{table}"
    )


def message_api() -> str:
    """The document of the message interface."""
    return json.dumps(asyncapi(describe(DIALECTS, VERSION)), indent=1, ensure_ascii=False) + "\n"


def _default(one: "dataclasses.Field[Any]") -> str:
    value = one.default
    if one.name == "home":
        return "`~/.canteen`"
    if isinstance(value, tuple):
        value = ",".join(value)
    return f"`{value}`" if value != "" else "none"


def _contexts(command: click.Command, parent: click.Context | None) -> Iterator[click.Context]:
    settings = {"terminal_width": 80, "max_content_width": 80, **command.context_settings}
    context = click.Context(command, parent, command.name, **settings)
    yield context
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            found = command.get_command(context, verb)
            if found is not None and not found.hidden:
                found.name = verb
                yield from _contexts(found, context)


def _help(context: click.Context) -> str:
    return "\n".join(line.rstrip() for line in context.get_help().splitlines())


if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for page, text in pages().items():
        (REFERENCE / page).write_text(text)
