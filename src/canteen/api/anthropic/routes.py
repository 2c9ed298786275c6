"""The routes of this dialect: parse, call, render."""

import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.responses import Response

from canteen.api.anthropic import render, schema, translate
from canteen.api.routing import Dialect, Route, Served, status_of
from canteen.api.sampling import filled, introduced
from canteen.api.streaming import heartbeat, json_bytes, sse, stream
from canteen.api.whole import whole
from canteen.core.engine import fold
from canteen.core.errors import CanteenError
from canteen.core.generation import Chunk, Usage

SSE = "text/event-stream"


async def create(body: schema.MessagesRequest, served: Served) -> Response:
    """Answer a conversation, whole or as events."""
    card = served.services.catalog.get(body.model)
    can = await served.services.capabilities(body.model)
    asked = translate.message(filled(body, card), _new_id(), served.caller_id)
    request = introduced(translate.fitting(asked, can), card)
    chunks = served.services.generate(request)
    if body.stream:
        events = _events(chunks, render.Events(request.id, body.model), served)
        beat = heartbeat(_event({"type": "ping"}), served.observe)
        return await stream(events, SSE, _late_error, beat)
    async with aclosing(chunks):
        completion = await fold(chunks)
    choice, usage = completion.choices[0], completion.usage
    said = render.message(choice, request.id, body.model, usage)
    return whole(said | served.footprint(), usage)


async def count_tokens(body: schema.CountTokensRequest, served: Served) -> Response:
    """Count the tokens of a conversation as the model would read it; nothing is computed."""
    card = served.services.catalog.get(body.model)
    can = await served.services.capabilities(body.model)
    asked = translate.counting(body, _new_id(), served.caller_id)
    request = introduced(translate.fitting(asked, can), card)
    async with aclosing(served.services.generate(request)) as chunks:
        usage = (await fold(chunks)).usage
    return whole({"input_tokens": usage.prompt_tokens})


async def _events(
    chunks: AsyncGenerator[Chunk], events: render.Events, served: Served
) -> AsyncGenerator[bytes]:
    usage = Usage()
    async with aclosing(chunks):
        async for chunk in chunks:
            usage = chunk.usage or usage
            for event in events.of(chunk):
                yield _event(event)
    for event in events.end(usage, served.footprint()):
        yield _event(event)


def _new_id() -> str:
    """An id nobody else has, whatever request id the client sent."""
    return f"msg_{uuid.uuid4().hex}"


def _event(data: dict[str, Any]) -> bytes:
    return sse(json_bytes(data), data["type"])


def _late_error(error: CanteenError) -> bytes:
    return _event(render.error_body(error, status_of(error)))


ROUTES = (
    Route(
        "POST",
        "/v1/messages",
        create,
        schema.MessagesRequest,
        schema.MessageBody,
        "Answer a conversation",
        streams=SSE,
        scope="llm:chat",
    ),
    Route(
        "POST",
        "/v1/messages/count_tokens",
        count_tokens,
        schema.CountTokensRequest,
        schema.TokenCount,
        "Count the tokens of a conversation",
        scope="llm:chat",
    ),
)
DIALECT = Dialect("anthropic", ROUTES, render.error_body)
