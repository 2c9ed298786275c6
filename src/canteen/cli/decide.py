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

    questions: dict[str, dict[str, Any]] = {
        text: {"type": "noul", "instructions": text} for text in asked
    }
    for text, options in chosen:
        criteria = {option.strip(): None for option in options.split(",")}
        questions[text] = {"type": "choice", "instructions": text, "criteria": criteria}
    if not questions:
        raise InvalidRequest("ask something, with --ask or --choose")
    with LLM(model) as llm:
        answers = llm.decide(state or store.piped(), questions)
    if is_json:
        store.echo_json(answers)
        return
    for text, answer in answers.items():
        said = answer.get("choice", "yes")
        click.echo(f"{text}\t{said}\t{answer.get('confidence', answer.get('noul')):.3f}")
