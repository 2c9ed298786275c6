"""`canteen train`: a model from nothing but texts, with a tokenizer of its own."""

from typing import Any

import click

from canteen.cli import store, working
from canteen.cli.options import options_of
from canteen.lifecycle.training.specs import Train


@click.command
@click.argument("recipe", required=False, type=click.Path(exists=True, dir_okay=False))
@options_of(Train, leave_out="")
@working.options
@store.as_json
@click.pass_context
def command(ctx: click.Context, /, recipe: str | None, is_json: bool, **asked: Any) -> None:
    """Train a model from scratch, by a RECIPE (a TOML file) and the options, which go over it.

    Recipes are in the folder recipes/; recipes/cpu.toml takes minutes on two cores. Without a
    recipe all is by default as told below, the corpus too.
    """
    asked["spec"] = asked["spec"] or recipe
    working.do("train", working.fields(ctx, Train, asked), is_json=is_json)
