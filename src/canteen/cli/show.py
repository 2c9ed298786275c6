"""`canteen show`: what is known of a model, its quality record too."""

import dataclasses

import click

from canteen.cli import store

_LINEAGE = ("parent", "learned from")


@click.command
@click.argument("model")
@store.as_json
def command(model: str, is_json: bool) -> None:
    """Show what is known of MODEL: its card, and the record made when it was prepared."""
    card = store.catalog().get(model)
    if is_json:
        store.echo_json(dataclasses.asdict(card))
        return
    lines = {
        "name": card.name,
        "kind": card.kind,
        "engine": card.engine,
        "architecture": card.architecture,
        "parameters": f"{card.num_parameters / 1e6:.1f} M",
        "context length": f"{card.context_length} tokens",
        "weights": f"{card.quantization} {card.format}",
        "size": store.human_bytes(card.size_bytes),
        "licence": card.license,
        "source": card.source,
        "parent": card.parent,
        "learned from": card.metadata.get("lineage", {}).get("data_digest", ""),
        "digest": card.digest,
    }
    # What it comes from is known of some models only.
    lines = {name: value for name, value in lines.items() if value or name not in _LINEAGE}
    for name, value in lines.items():
        click.echo(f"{name:16}{value}")
    if card.quality:
        click.echo("\nquality, measured when it was prepared")
    for name, value in card.quality.items():
        if not isinstance(value, list):
            shown = f"{value:.4g}" if isinstance(value, float) else value
            click.echo(f"  {name.replace('_', ' '):30}{shown}")
