"""`canteen rm`: take models out of the store."""

import click

from canteen.cli import store


@click.command
@click.argument("models", nargs=-1, required=True)
@store.as_json
def command(models: tuple[str, ...], is_json: bool) -> None:
    """Take MODELS out of the store; files that no other name needs are erased."""
    catalog = store.catalog()
    cards = [catalog.get(model) for model in models]
    # Adapters go before the models that they are of.
    for card in sorted(cards, key=lambda card: not card.adapter):
        catalog.remove(card.name)
    if is_json:
        store.echo_json({"removed": list(models)})
    else:
        click.echo(f"removed {', '.join(models)}")
