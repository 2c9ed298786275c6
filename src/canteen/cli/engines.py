"""`canteen engines`: what can run models here."""

import click

from canteen.cli import store
from canteen.engines.registry import ENGINES, is_installed


@click.command
@store.as_json
def command(is_json: bool) -> None:
    """List the engines, and whether their libraries are installed."""
    if is_json:
        store.echo_json(
            [
                {"name": name, "is_installed": is_installed(name), "about": entry.about}
                for name, entry in ENGINES.items()
            ]
        )
        return
    for name, entry in ENGINES.items():
        state = "installed" if is_installed(name) else "not installed"
        click.echo(f"{name:20}{state:16}{entry.about}")
