"""`canteen run`: ask a model, once or in a chat."""

import json
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from canteen.cli import store
from canteen.cli.figures import interval, scaled
from canteen.core.errors import CanteenError, InvalidRequest
from canteen.core.footprint import Footprint
from canteen.core.units import Quantity

HELP = "/bye leaves and tells the footprint, /clear forgets what was said, Ctrl-C stops an answer"


@click.command
@click.argument("words", nargs=-1, metavar="[MODEL] [PROMPT]")
@click.option("--system", help="What the model is told before everything else.")
@click.option("--schema", type=click.Path(exists=True, dir_okay=False), help="A JSON Schema file.")
@click.option("--max-tokens", type=click.IntRange(1), help="The most tokens of an answer.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="0 always takes the likeliest.")
@click.option("--top-p", type=click.FloatRange(0, 1), help="Share of probability to choose from.")
@click.option("--seed", type=int, help="Makes a sampled answer repeatable.")
@store.as_json
def command(words: tuple[str, ...], is_json: bool, schema: str | None, **options: Any) -> None:
    """Ask MODEL (the default one, if it is left out) and print the answer as it comes.

    Standard input that is piped is added to the prompt. With neither prompt nor pipe, it is a
    chat: /bye leaves it.
    """
    from canteen.cli.function import LLM

    model, prompt = _parted(words)
    given = {name: value for name, value in options.items() if value is not None}
    if schema is not None:
        given["schema"] = _schema(schema)
    prompt = "\n\n".join(part for part in (prompt, store.piped().strip()) if part)
    with LLM(model, conversation_id=f"run-{uuid.uuid4().hex}") as llm:
        if prompt:
            _once(llm, prompt, is_json, given)
        elif sys.stdin.isatty():
            _chat(llm, given)
        else:
            raise InvalidRequest("the prompt is empty; say what to ask")


def _parted(words: tuple[str, ...]) -> tuple[str | None, str]:
    """The first word is a model if it is one of the store or the menu; the rest is the prompt."""
    if words and (len(words) > 1 or _is_model(words[0])):
        return words[0], " ".join(words[1:])
    return None, " ".join(words)


def _is_model(word: str) -> bool:
    from canteen.core.model import full_name
    from canteen.runtime.menu import find

    try:
        name = full_name(word)
    except InvalidRequest:
        return False
    return find(name) is not None or name in {card.name for card in store.catalog().list()}


def _schema(path: str) -> Any:
    try:
        return json.loads(Path(path).read_text())
    except ValueError as exc:
        raise InvalidRequest(f"{path} is not JSON") from exc


def _once(llm: Any, prompt: str, is_json: bool, options: dict[str, Any]) -> None:
    if is_json:
        from canteen.metering.receipt import as_json

        answer = llm(prompt, **options)
        told = {"model": llm.model, "answer": answer, "footprint": as_json(llm.receipt)}
        store.echo_json(told)
        return
    try:
        for piece in llm.stream(prompt, **options):
            click.echo(piece, nl=False)
        click.echo()
    except KeyboardInterrupt:
        click.echo()
        sys.exit(130)


def _chat(llm: Any, options: dict[str, Any]) -> None:
    """Questions and answers with their history, until /bye or the end of input."""
    with suppress(ImportError):
        import readline  # noqa: F401  (gives input() arrow keys and a history)
    click.echo(HELP, err=True)
    history: list[dict[str, str]] = []
    while (line := _asked()) is not None:
        if line == "/bye":
            _say_total(llm.footprint())
            return
        if line == "/clear":
            history.clear()
        elif line in ("/?", "/help"):
            click.echo(HELP, err=True)
        elif line:
            question = {"role": "user", "content": line}
            if answer := _answer(llm, [*history, question], options):
                history += [question, {"role": "assistant", "content": answer}]


def _say_total(footprint: Footprint) -> None:
    """What the conversation took, in plain words."""
    figures = (
        ("energy", footprint.energy.to("Wh")),
        ("water evaporated on site", footprint.water_site),
        ("water for its electricity", footprint.water_source),
        ("carbon dioxide, equivalent", footprint.carbon_operational),
        ("cost", footprint.cost),
    )
    click.echo("This conversation took", err=True)
    for name, figure in figures:
        click.echo(f"  {name:<27}{_told(figure)}", err=True)


def _told(figure: Quantity | None) -> str:
    if figure is None:
        return "unknown"
    shown = figure if figure.unit == "USD" else scaled(figure)
    return f"{interval(shown)} {shown.unit}, grade {shown.grade}"


def _asked() -> str | None:
    try:
        return input(">>> ").strip()
    except EOFError:
        return None
    except KeyboardInterrupt:
        click.echo()
        return ""


def _answer(llm: Any, history: list[dict[str, str]], options: dict[str, Any]) -> str:
    """Say the answer as it comes. Ctrl-C ends the answer, an error only this question."""
    said: list[str] = []
    pieces = llm.stream(history, **options)
    try:
        for piece in pieces:
            click.echo(piece, nl=False)
            said.append(piece)
    except KeyboardInterrupt:
        pieces.close()
    except CanteenError as error:
        click.echo(f"canteen: {error.message}", err=True)
    click.echo()
    return "".join(said)
