"""`canteen ps`: the models a running server has in memory, and why others are not."""

from typing import Any

import click

from canteen.cli import store
from canteen.cli.remote import ask


@click.command
@store.as_json
def command(is_json: bool) -> None:
    """List the models that the running server has in memory, and why others are not."""
    answer = ask("GET", "/api/ps")
    if is_json:
        store.echo_json(answer)
        return
    models = {model["name"]: model for model in answer["models"]}
    states = answer.get("states", {})  # Ollama has no such key
    if not models:
        click.echo("no model is in memory; the first request loads one")
    names = [*models, *(name for name in states if name not in models)]
    if names:
        rows = [_row(name, models.get(name, {}), states.get(name, {})) for name in names]
        store.echo_table(("NAME", "STATE", "MEMORY", "CONTEXT", "USED", "UNTIL", "WHY"), rows)


def _row(name: str, model: dict[str, Any], state: dict[str, Any]) -> tuple[str, ...]:
    return (
        name,
        state.get("state", ""),
        _memory(model, state),
        f"{model['context_length']} tokens" if "context_length" in model else "",
        _second(state.get("last_used_at")),
        _second(model.get("expires_at")),
        _why(state),
    )


def _memory(model: dict[str, Any], state: dict[str, Any]) -> str:
    """What it takes, and what it counts for against the memory budget."""
    if not model:
        return ""
    taken = store.human_bytes(model["size"])
    if "counted_bytes" not in state:
        return taken
    return f"{taken} ({state['counted_by']} {store.human_bytes(state['counted_bytes'])})"


def _why(state: dict[str, Any]) -> str:
    event = state.get("last_event")
    if not event:
        return str(state.get("why", ""))
    at = _second(event["at"])
    if state["state"] == "unloaded":
        return f"{state['why']} ({at})"
    return f"{state['why']}; {event['what']} {event['why']} ({at})"


def _second(moment: str | None) -> str:
    return (moment or "")[:19]
