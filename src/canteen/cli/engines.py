"""`canteen engines`: what can run models here."""

import dataclasses

import click

from canteen.cli import store
from canteen.engines.standing import standings


@click.command
@store.as_json
def command(is_json: bool) -> None:
    """List the engines: which are installed, which this machine could use, and why."""
    settings = store.settings()
    found = standings(settings.home)
    if is_json:
        store.echo_json([dataclasses.asdict(one) for one in found])
        return
    rows = [
        (one.name, "installed" if one.is_installed else "not installed", one.why, one.about)
        for one in found
    ]
    store.echo_table(("ENGINE", "STATE", "HERE", "FOR"), rows)
    chosen = "chosen by file and machine" if settings.engine == "auto" else settings.engine
    click.echo(f"\nThe engine of what is pulled: {chosen} (CANTEEN_ENGINE={settings.engine})")
