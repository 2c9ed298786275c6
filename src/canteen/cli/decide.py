"""`canteen decide`: questions about a state, each answered with probabilities."""

from typing import Any

import click

from canteen.cli import store
from canteen.core.errors import InvalidRequest


@click.command
@click.argument("state", required=False)
@click.option("--model", help="The model that works; or the default one.")
@click.option("--ask", "asked", multiple=True, help="Whether something is true; may be repeated.")
@click.option(
    "--choose",
    "chosen",
    nargs=2,
    multiple=True,
    metavar="QUESTION OPTIONS",
    help="Which of the options, parted by commas; may be repeated.",
)
@store.as_json
def command(
    state: str | None,
    model: str | None,
    asked: tuple[str, ...],
    chosen: tuple[tuple[str, str], ...],
    is_json: bool,
) -> None:
    """Answer questions about STATE, or standard input, by what a model finds likely."""
    from canteen.cli.function import LLM

    questions = _questions(asked, chosen)
    with LLM(model) as llm:
        answers = llm.decide(state or store.piped(), questions)
    if is_json:
        store.echo_json(answers)
        return
    for text, answer in answers.items():
        click.echo(f"{text}\t{told(answer)}")


def told(answer: dict[str, Any]) -> str:
    """What is likeliest, and how likely it is."""
    if "choice" in answer:
        return f"{answer['choice']}\t{answer['confidence']:.3f}"
    is_true = answer["noul"]
    return f"yes\t{is_true:.3f}" if is_true >= 0.5 else f"no\t{1 - is_true:.3f}"


def _questions(
    asked: tuple[str, ...], chosen: tuple[tuple[str, str], ...]
) -> dict[str, dict[str, Any]]:
    """The questions, named by their words."""
    if not (asked or chosen):
        raise InvalidRequest("ask something, with --ask or --choose")
    _check_once("question", [*asked, *(text for text, _ in chosen)])
    nouls = {text: {"type": "noul", "instructions": text} for text in asked}
    return nouls | {text: _choice(text, options) for text, options in chosen}


def _choice(text: str, options: str) -> dict[str, Any]:
    names = [option.strip() for option in options.split(",")]
    _check_once("option", names)
    return {"type": "choice", "instructions": text, "criteria": dict.fromkeys(names)}


def _check_once(what: str, words: list[str]) -> None:
    if twice := [one for one in words if words.count(one) > 1]:
        raise InvalidRequest(f"the {what} '{twice[0]}' is given twice")
