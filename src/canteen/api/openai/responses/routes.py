"""The route of the Responses API."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import Response

from canteen.api.openai import answer
from canteen.api.openai.responses import later, render, schema, translate
from canteen.api.routing import Route, Served
from canteen.api.sampling import filled, introduced
from canteen.api.streaming import json_bytes, sse
from canteen.api.whole import whole
from canteen.core.engine import fold
from canteen.core.generation import Chunk, FinishReason, Usage


async def create(body: schema.ResponseRequest, served: Served) -> Response:
    """Answer a conversation, whole, as events, or later."""
    if body.background:
        return await later.left(body, served)
    card = served.services.catalog.get(body.model)
    asked = translate.generation(filled(body, card), answer.new_id("resp_"), served.caller_id)
    request = introduced(asked, card)
    created_at = answer.now()
    chunks = served.services.generate(request)
    if body.stream:
        events = render.Events(body, request.id, created_at)
        return await answer.events(_events(chunks, events, served), served.observe)
    async with aclosing(chunks):
        completion = await fold(chunks)
    choice, usage = completion.choices[0], completion.usage
    said = render.response(body, request.id, created_at, choice, usage)
    return whole(said | served.footprint(), usage)


async def _events(
    chunks: AsyncGenerator[Chunk], events: render.Events, served: Served
) -> AsyncGenerator[bytes]:
    usage = Usage()
    finish_reason: FinishReason = "stop"
    async with aclosing(chunks):
        async for chunk in chunks:
            usage = chunk.usage or usage
            finish_reason = chunk.finish_reason or finish_reason
            for event in events.of(chunk):
                yield sse(json_bytes(event), event["type"])
    for event in events.end(finish_reason, usage, served.footprint()):
        yield sse(json_bytes(event), event["type"])


ROUTES = (
    Route(
        "POST",
        "/responses",
        create,
        schema.ResponseRequest,
        schema.ResponseBody,
        "Answer a conversation",
        streams="text/event-stream",
        scope="llm:chat",
    ),
    Route(
        "GET",
        "/responses/{id}",
        later.show,
        None,
        schema.ResponseBody,
        "How a response in the background stands",
        scope="key",
    ),
    Route(
        "POST",
        "/responses/{id}/cancel",
        later.cancel,
        None,
        schema.ResponseBody,
        "End a response in the background",
        scope="key",
    ),
)
