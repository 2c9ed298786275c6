"""`canteen settings`: every setting, its meaning and the value in force."""

import dataclasses

import click

from canteen.cli import store


@click.command
@store.as_json
def command(is_json: bool) -> None:
    """Print every setting with its meaning and the value in force."""
    settings = store.settings()
    rows = [
        (field.metadata["variable"], field.metadata["meaning"], getattr(settings, field.name))
        for field in dataclasses.fields(settings)
    ]
    if is_json:
        store.echo_json({variable: value for variable, _, value in rows})
        return
    for variable, meaning, value in rows:
        shown = ", ".join(value) if isinstance(value, tuple) else value
        click.echo(f"{variable}={shown}\n    {meaning}")
