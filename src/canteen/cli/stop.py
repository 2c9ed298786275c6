"""`canteen stop`: take a model out of a running server's memory."""

import click

from canteen.cli import store
from canteen.cli.remote import ask


@click.command
@click.argument("model")
@store.as_json
def command(model: str, is_json: bool) -> None:
    """Take MODEL out of the running server's memory; it stays in the store."""
    ask("POST", "/api/generate", {"model": model, "keep_alive": 0, "stream": False})
    if is_json:
        store.echo_json({"stopped": model})
    else:
        click.echo(f"{model} is out of memory")
