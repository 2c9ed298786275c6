"""`canteen prepare`: a model of the store with its weights in another format."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import click

from canteen.cli import store
from canteen.core.errors import InvalidRequest
from canteen.core.model import full_name

if TYPE_CHECKING:
    from canteen.bootstrap import Services
    from canteen.core.model import ModelCard, Progress
    from canteen.lifecycle.quantize.formats import Format


@click.command
@click.argument("model")
@click.option("--format", "name_of_format", required=True, help="int8, int4, int4-awq, nf4, f16, …")
@click.option("--group-size", type=int, help="Weights that share a scale; -1 is a whole row.")
@click.option(
    "--calibration",
    help="A file of texts as the model will meet them, or builtin; for int4-awq.",
)
@click.option("--name", help="The name it gets; by default MODEL's with the format at its end.")
@store.as_json
def command(model: str, name_of_format: str, name: str | None, is_json: bool, **asked: Any) -> None:
    """Bring the weights of MODEL into another format, as a model of its own name.

    Formats: int8, int8-asym, int4, int4-asym, int4-awq, nf4, fp4, mxfp4, nvfp4, fp8,
    mxfp8, f16; and with llama-quantize on the PATH the types of GGUF files, such as q4_k_m.
    `canteen quantize` compares them.
    """
    from canteen.lifecycle.quantize.formats import GGUF_TYPES, read

    services = store.services()
    kind = name_of_format.lower()
    made = name or f"{full_name(model)}-{kind}"
    if kind in GGUF_TYPES:
        _check_type(kind, asked)
        program = ("canteen.lifecycle.quantize.llamacpp", kind)
        steps = services.puller.convert(model, made, kind, program)
    else:
        steps = prepared(services, model, made, read(kind, **asked))
    asyncio.run(_made(services, model, steps, is_quiet=is_json))
    card = services.catalog.get(made)
    if is_json:
        store.echo_json(dataclasses.asdict(card))
    else:
        click.echo(told(card))


def _check_type(kind: str, asked: Mapping[str, Any]) -> None:
    from canteen.lifecycle.quantize import llamacpp

    if any(value is not None for value in asked.values()):
        raise InvalidRequest(
            f"{kind} takes neither --group-size nor --calibration; leave them out", param="format"
        )
    llamacpp.quantizer()


def told(card: "ModelCard") -> str:
    """What a preparation made, in a line."""
    quality = card.quality
    line = f"{card.name} is in the store: {store.human_bytes(card.size_bytes)}"
    if "perplexity_before" in quality and "perplexity_after" in quality:
        before, after = quality["perplexity_before"], quality["perplexity_after"]
        line += f", perplexity {after:.2f} ({after / before - 1:+z.1%} to the floats it came from)"
    return line


async def prepared(
    services: "Services", model: str, name: str, form: "Format"
) -> AsyncGenerator["Progress"]:
    """Prepare a model's files in a format under another name; raises what Puller.prepare does."""
    from canteen.bootstrap.preparing import form_of

    async with aclosing(services.puller.prepare(model, name, form_of(form))) as steps:
        async for step in steps:
            yield step


async def _made(
    services: "Services", model: str, steps: AsyncGenerator["Progress"], *, is_quiet: bool
) -> None:
    from canteen.cli.show_progress import show

    try:
        await store.ensure(services, model, is_quiet=is_quiet)
        async with aclosing(steps):
            await show(steps, is_quiet=is_quiet)
    finally:
        await services.close()
