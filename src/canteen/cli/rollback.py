"""`canteen rollback`: a name holds again what it held before its last promotion."""

import asyncio

import click

from canteen.cli import store


@click.command
@click.argument("name", metavar="NAME:TAG")
@store.as_json
def command(name: str, is_json: bool) -> None:
    """Let NAME:TAG be what it was before its last promotion; again, what it was before that."""
    import msgspec

    from canteen.cli import promoting

    done = asyncio.run(promoting.rollback(store.services(), name))
    if is_json:
        store.echo_json(msgspec.to_builtins(done))
        return
    click.echo(f"{done.name} is again what it was before, {done.digest[:19]}")
    if done.kept_as:
        click.echo(f"what it was until now: {done.kept_as}")
