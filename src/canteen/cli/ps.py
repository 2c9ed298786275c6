"""`canteen ps`: the models a running server has in memory."""

from typing import Any

import click

from canteen.cli import store
from canteen.cli.remote import ask


@click.command
@store.as_json
def command(is_json: bool) -> None:
    """List the models that the running server has in memory."""
    answer = ask("GET", "/api/ps")
    models = answer["models"]
    if is_json:
        store.echo_json(answer)
        return
    if not models:
        click.echo("no model is in memory; the first request loads one")
        return
    states = answer.get("states", {})  # Ollama has no such key
    rows = [_row(model, states.get(model["name"], {}).get("state", "")) for model in models]
    store.echo_table(("NAME", "STATE", "MEMORY", "CONTEXT", "UNTIL"), rows)


def _row(model: dict[str, Any], state: str) -> tuple[str, ...]:
    memory = store.human_bytes(model["size"])
    context = f"{model.get('context_length', '?')} tokens"
    return model["name"], state, memory, context, model["expires_at"][:19]
