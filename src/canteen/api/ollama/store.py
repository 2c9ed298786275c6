"""The routes about models: what there is, what is loaded, and how both change."""

import asyncio
from contextlib import aclosing

from starlette.responses import Response

from canteen.api.body import chunks
from canteen.api.ollama import answer, creating, describe, schema
from canteen.api.routing import Served
from canteen.api.whole import whole
from canteen.core.errors import EngineError, ModelNotFound, NotSupported
from canteen.core.model import ModelCard


def found(served: Served, name: str) -> ModelCard:
    """A model's card; raises ModelNotFound with the name as the caller wrote it."""
    try:
        return served.services.catalog.get(name)
    except ModelNotFound:
        raise ModelNotFound(name) from None


async def tags(served: Served) -> Response:
    """The models of the store that the caller may ask."""
    return whole(describe.tags(served.models()))


async def ps(served: Served) -> Response:
    """The models in memory, and why others are not."""
    services = served.services
    return whole(describe.running(await services.loaded(), services.pool.events()))


async def show(body: schema.ShowRequest, served: Served) -> Response:
    """All that is known of a model."""
    card = found(served, body.model)
    return whole(describe.shown(card, await served.services.capabilities(card.name)))


async def create(body: schema.CreateRequest, served: Served) -> Response:
    """Make a model of another one, or of an uploaded GGUF."""
    return await answer.progress(creating.create(body, served.services), is_streamed=body.stream)


async def copy(body: schema.CopyRequest, served: Served) -> Response:
    """Give a model a second name."""
    card = found(served, body.source)
    await asyncio.to_thread(served.services.catalog.copy, card.name, body.destination)
    return answer.done()


async def delete(body: schema.DeleteRequest, served: Served) -> Response:
    """Forget a name, and what no other name needs, in memory and on disk."""
    catalog = served.services.catalog
    try:
        card = found(served, body.model)
    except EngineError:
        # A damaged manifest can only be removed.
        await asyncio.to_thread(catalog.remove, body.model)
        return answer.done()
    await asyncio.to_thread(catalog.check_removal, card)
    others = [other for other in catalog.list() if other.name != card.name]
    is_alone = not card.folder or all(other.folder != card.folder for other in others)
    # An adapter is served by the worker of its model, which goes on.
    if is_alone and not card.adapter:
        await served.services.unload(card.name)
    await asyncio.to_thread(catalog.remove, card.name)
    return answer.done()


async def pull(body: schema.PullRequest, served: Served) -> Response:
    """Bring a model of the menu or of a hub into the store."""
    steps = served.services.puller.pull(body.model, over_http=True)
    return await answer.progress(steps, is_streamed=body.stream)


async def push(body: schema.PullRequest, served: Served) -> Response:
    """Refused: there is no registry of ours to push to."""
    raise NotSupported("push is not supported: this service has no registry to send models to")


async def has_blob(served: Served) -> Response:
    """Whether the bytes of a digest are here."""
    return answer.done(200 if served.services.catalog.has_blob(served.path["digest"]) else 404)


async def add_blob(served: Served) -> Response:
    """Take a file, which goes to disk as it comes and must have the digest of its address."""
    digest, catalog = served.path["digest"], served.services.catalog
    is_here = catalog.has_blob(digest)
    async with aclosing(chunks(served.request)) as pieces:
        if is_here:
            async for _ in pieces:
                pass
        else:
            size_bytes = int(served.headers.get("content-length", 0))
            await catalog.add_blob(digest, pieces, size_bytes)
    return answer.done(200 if is_here else 201)
