"""`canteen engine`: set up what runs models."""

import asyncio

import click

from canteen.cli import store
from canteen.cli.show_progress import show
from canteen.runtime.engine_install import ENGINES, install


@click.group
def command() -> None:
    """Set up an engine; `canteen engines` lists them all. With --json the answer is JSON."""


@command.command("install")
@click.argument("engine", type=click.Choice(ENGINES))
@click.option("--index-url", default="", help="A package index with other builds, as for CUDA.")
@store.as_json
def install_(engine: str, index_url: str, is_json: bool) -> None:
    """Install ENGINE: llamacpp into the environment that runs, vllm into one of its own.

    What is interrupted leaves nothing behind that looks installed; run it again.
    """
    steps = install(store.settings().home, engine, index_url)
    asyncio.run(show(steps, is_quiet=is_json))
    if is_json:
        store.echo_json({"engine": engine, "is_installed": True})
    else:
        click.echo(f"{engine} is installed; canteen engines shows what it can do here")
