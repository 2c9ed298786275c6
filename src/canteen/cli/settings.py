"""`canteen settings`: every setting, its meaning, its default, its value and where that is from."""

import dataclasses
from typing import Any

import click

from canteen.cli import store
from canteen.settings import Settings, shown, told


@click.command
@store.as_json
def command(is_json: bool) -> None:
    """Print every setting: meaning, value in force, its source, default; no secrets.

    An option of a command goes before the environment, the environment before the file that
    CANTEEN_CONFIG names, and that before the default.
    """
    values = told()
    rows = {
        one.metadata["variable"]: (one, *values[one.name]) for one in dataclasses.fields(Settings)
    }
    if is_json:
        store.echo_json({variable: _row(*row) for variable, row in rows.items()})
        return
    for variable, (one, value, source) in rows.items():
        default = shown(one, one.default) or "nothing"
        click.echo(f"{variable}={shown(one, value)}")
        click.echo(f"    {one.metadata['meaning']}")
        click.echo(f"    from the {source}" + ("" if source == "default" else f"; else {default}"))


def _row(one: "dataclasses.Field[Any]", value: Any, source: str) -> dict[str, Any]:
    is_secret = one.metadata.get("is_secret")
    return {
        "value": shown(one, value) if is_secret else value,
        "source": source,
        "default": one.default,
        "meaning": one.metadata["meaning"],
    }
