"""Making a model of another one, or of a file that was uploaded before."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from canteen.api.ollama import translate
from canteen.api.ollama.schema import CreateRequest
from canteen.core.errors import InvalidRequest, ModelNotFound
from canteen.core.model import ModelCard, Progress, full_name
from canteen.runtime.catalog import kept_said

if TYPE_CHECKING:
    from canteen.bootstrap import Services

SUCCESS = "success"


async def create(body: CreateRequest, services: "Services") -> AsyncGenerator[Progress]:
    """The steps; raises InvalidRequest, mostly before the first."""
    name = full_name(body.model)
    own = translate.creation(_with_own_template(body, services))
    steps = _from_file(body, name, services) if body.files else _pulled(body.source, services)
    async with aclosing(steps):
        async for step in steps:
            if step.status != SUCCESS:
                yield step
    base = body.source or name
    yield Progress("writing manifest")
    if body.source or own:
        kept_as = await asyncio.to_thread(lambda: services.catalog.derive(base, name, **own))
        if kept_as:
            yield Progress(kept_said(kept_as))
    yield Progress(SUCCESS)


def _with_own_template(body: CreateRequest, services: "Services") -> CreateRequest:
    """Some clients send back the template that show gave them, which says nothing new."""
    card = _card(body.source, services) if body.source else None
    if card is not None and body.template == card.template:
        return body.model_copy(update={"template": None})
    return body


def _card(name: str, services: "Services") -> ModelCard | None:
    try:
        return services.catalog.get(name)
    except ModelNotFound:
        return None


async def _pulled(source: str, services: "Services") -> AsyncGenerator[Progress]:
    """A model of the menu need not have been pulled before."""
    card = _card(source, services)
    if card is not None:
        yield Progress(f"using existing layer {card.digest}")
        return
    async with aclosing(services.puller.pull(source, over_http=True)) as steps:
        async for step in steps:
            yield step


async def _from_file(
    body: CreateRequest, name: str, services: "Services"
) -> AsyncGenerator[Progress]:
    (digest,) = body.files.values()
    if not services.catalog.has_blob(digest):
        raise InvalidRequest(
            f"there is no file {digest}; upload it first with POST /api/blobs/{digest}",
            param="files",
        )
    source = f"file:{services.catalog.blob_path(digest)}"
    async with aclosing(services.puller.pull(source, name)) as steps:
        async for step in steps:
            yield step
