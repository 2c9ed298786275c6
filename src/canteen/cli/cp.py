"""`canteen cp`: give a model another name."""

import click

from canteen.cli import store
from canteen.core.model import full_name


@click.command
@click.argument("source")
@click.argument("destination")
@store.as_json
def command(source: str, destination: str, is_json: bool) -> None:
    """Give SOURCE the further name DESTINATION; the weights are shared."""
    store.tell_kept(store.catalog().copy(source, destination))
    if is_json:
        store.echo_json({"source": source, "destination": destination})
    elif full_name(source) == full_name(destination):
        click.echo(f"{destination} is that already, and nothing was changed")
    else:
        click.echo(f"{destination} is now {source} too")
