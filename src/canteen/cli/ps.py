"""`canteen ps`: the models a running server has in memory."""

import click
from rich.console import Console
from rich.table import Table

from canteen.cli import store
from canteen.cli.remote import ask


@click.command
@store.as_json
def command(is_json: bool) -> None:
    """List the models that the running server has in memory."""
    models = ask("GET", "/api/ps")["models"]
    if is_json:
        store.echo_json(models)
        return
    if not models:
        click.echo("no model is in memory; the first request loads one")
        return
    table = Table("NAME", "STATE", "MEMORY", "CONTEXT", "UNTIL", box=None, pad_edge=False)
    for model in models:
        size = store.human_bytes(model["size"])
        until = model["expires_at"][:19]
        table.add_row(
            model["name"], model.get("state", ""), size, str(model["context_length"]), until
        )
    Console(soft_wrap=True).print(table)
