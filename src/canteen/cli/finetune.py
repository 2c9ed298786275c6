"""`canteen finetune`: teach a model of the store something, and serve what comes of it."""

from typing import Any

import click

from canteen.cli import store, working
from canteen.cli.options import options_of
from canteen.lifecycle.training.specs import Finetune


@click.command
@click.argument("model", required=False)
@options_of(Finetune, leave_out="model")
@working.options
@store.as_json
@click.pass_context
def command(ctx: click.Context, /, model: str | None, is_json: bool, **asked: Any) -> None:
    """Fine-tune MODEL on the examples of --data, and give what comes of it a --name.

    A line of the JSONL file is a chat ({"messages": [...]}), an instruction ({"prompt",
    "completion"}) or a text with its class ({"text", "label"}). What learns classes is asked with
    `canteen classify --method score --model NAME`.
    """
    fields = working.fields(ctx, Finetune, {**asked, "model": model or ""})
    working.do("finetune", fields, needs=fields.get("model", ""), is_json=is_json)
