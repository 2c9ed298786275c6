"""The routes of this dialect: parse, call, render."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any, Protocol

from starlette.responses import Response

from canteen.api.openai import (
    answer,
    batches,
    decisions,
    files,
    render,
    schema,
    systemone,
    translate,
)
from canteen.api.openai.fan_out import fan_out
from canteen.api.openai.responses.routes import ROUTES as RESPONSES
from canteen.api.routing import Dialect, Route, Served
from canteen.api.sampling import filled, introduced
from canteen.api.streaming import json_bytes, sse
from canteen.api.whole import whole
from canteen.core.engine import fold
from canteen.core.generation import Chunk, Usage


async def chat(body: schema.ChatRequest, served: Served) -> Response:
    """Answer a chat, whole or streamed."""
    card = served.services.catalog.get(body.model)
    asked = translate.chat(filled(body, card), answer.new_id("chatcmpl-"), served.caller_id)
    request = introduced(asked, card)
    created = answer.now()
    chunks = served.services.generate(request)
    if body.stream:
        frames = render.ChatFrames(request.id, created, body.model, body.n)
        events = _events(chunks, frames, served, body.stream_options.include_usage)
        return await answer.events(events, served.observe)
    async with aclosing(chunks):
        completion = await fold(chunks, body.n)
    said = render.chat(completion, request.id, created, body.model)
    return whole(said | served.footprint(), completion.usage)


async def completions(body: schema.CompletionRequest, served: Served) -> Response:
    """Continue one or several prompts, whole or streamed."""
    answer_id, created = answer.new_id("cmpl-"), answer.now()
    card = served.services.catalog.get(body.model)
    requests = translate.completions(filled(body, card), answer_id, served.caller_id)
    num_choices = body.n * len(requests)
    chunks = fan_out(served.services.generate, requests)
    if body.stream:
        frames = render.CompletionFrames(answer_id, created, body.model, num_choices)
        events = _events(chunks, frames, served, body.stream_options.include_usage)
        return await answer.events(events, served.observe)
    async with aclosing(chunks):
        completion = await fold(chunks, num_choices)
    said = render.completion(completion, answer_id, created, body.model)
    return whole(said | served.footprint(), completion.usage)


async def embeddings(body: schema.EmbeddingsRequest, served: Served) -> Response:
    """Embed texts or token ids."""
    request = translate.embeddings(body, answer.new_id("embd-"), served.caller_id)
    made = await served.services.embed(request)
    said = render.embeddings(made, body.model, body.encoding_format)
    return whole(said | served.footprint(), made.usage)


async def models(served: Served) -> Response:
    """The models of the store that the caller may ask."""
    return whole(render.models(served.models()))


async def model(served: Served) -> Response:
    """One model of the store; raises ModelNotFound."""
    return whole(render.model(served.services.catalog.get(served.path["model"])))


class _Frames(Protocol):
    """What turns chunks into the frames of one kind of answer."""

    def of(self, chunk: Chunk) -> Iterator[dict[str, Any]]: ...

    def usage(self, usage: Usage) -> dict[str, Any]: ...


async def _events(
    chunks: AsyncGenerator[Chunk], frames: _Frames, served: Served, include_usage: bool
) -> AsyncGenerator[bytes]:
    """The last frame has the receipt: that of the usage, where the caller wants one."""
    usage = Usage()
    async with aclosing(chunks):
        async for chunk in chunks:
            usage = chunk.usage or usage
            made = [*frames.of(chunk)]
            if chunk.usage is not None and not include_usage:
                made[-1] |= served.footprint()
            for frame in made:
                yield sse(json_bytes(frame))
    if include_usage:
        yield sse(json_bytes(frames.usage(usage) | served.footprint()))
    yield sse(render.DONE)


SSE = "text/event-stream"
ROUTES = (
    Route(
        "POST",
        "/chat/completions",
        chat,
        schema.ChatRequest,
        schema.ChatCompletion,
        "Answer a chat",
        streams=SSE,
        scope="llm:chat",
    ),
    Route(
        "POST",
        "/completions",
        completions,
        schema.CompletionRequest,
        schema.TextCompletion,
        "Continue prompts",
        streams=SSE,
        scope="llm:chat",
    ),
    Route(
        "POST",
        "/embeddings",
        embeddings,
        schema.EmbeddingsRequest,
        schema.EmbeddingList,
        "Embed texts",
        scope="llm:embed",
    ),
    Route("GET", "/models", models, None, schema.ModelList, "List the models", scope="key"),
    Route("GET", "/models/{model:path}", model, None, schema.Model, "Show a model", scope="key"),
    *RESPONSES,
    *files.ROUTES,
    *batches.ROUTES,
    *decisions.ROUTES,
    *systemone.ROUTES,
)
DIALECT = Dialect("openai", ROUTES, render.error_body, prefixes=("/v1", ""))
