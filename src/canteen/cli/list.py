"""`canteen list`: the models in the store."""

import dataclasses

import click

from canteen.cli import store
from canteen.core.model import ModelCard


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
    store.echo_table(("NAME", "DIGEST", "SIZE", "ENGINE", "MODIFIED"), map(_row, cards))


def _row(card: ModelCard) -> tuple[str, ...]:
    digest = card.digest.removeprefix("sha256:")[:12]
    size = store.human_bytes(card.size_bytes)
    return card.name, digest, size, card.engine, card.modified_at[:19]
