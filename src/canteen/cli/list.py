"""`canteen list`: the models in the store."""

import dataclasses

import click
from rich.console import Console
from rich.table import Table

from canteen.cli import store


@click.command
@store.as_json
def command(is_json: bool) -> None:
    """List the models in the store."""
    cards = store.catalog().list()
    if is_json:
        store.echo_json([dataclasses.asdict(card) for card in cards])
        return
    if not cards:
        click.echo("the store is empty; canteen pull smollm2:135m brings the default model")
        return
    table = Table("NAME", "DIGEST", "SIZE", "ENGINE", "MODIFIED", box=None, pad_edge=False)
    for card in cards:
        digest = card.digest.removeprefix("sha256:")[:12]
        size = store.human_bytes(card.size_bytes)
        table.add_row(card.name, digest, size, card.engine, card.modified_at[:19])
    Console(soft_wrap=True).print(table)
