"""The routes of this dialect: parse, call, render."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.responses import PlainTextResponse, Response

from canteen.api import reranking
from canteen.api.ollama import answer, answers, render, schema, store, translate
from canteen.api.ollama.translate import Asked
from canteen.api.routing import Dialect, Route, Served
from canteen.api.whole import whole
from canteen.core.engine import fold
from canteen.core.generation import Embeddings, FinishReason, GenerationRequest, Usage
from canteen.core.model import ModelCard
from canteen.core.moments import now
from canteen.runtime.slot import weights

# What Ollama's clients look for at `/`.
GREETING = "Ollama is running"


async def generate(body: schema.GenerateRequest, served: Served) -> Response:
    """Continue a prompt; without one, load or unload the model."""
    card = store.found(served, body.model)
    if not body.prompt and not body.suffix:
        return await _load(body, served, card, render.generated)
    request = translate.generate(body, await _asked(served, card))
    return await _answered(body, served, request, render.generated)


async def chat(body: schema.OllamaChatRequest, served: Served) -> Response:
    """Answer a chat; without messages, load or unload the model."""
    card = store.found(served, body.model)
    if not body.messages:
        return await _load(body, served, card, render.chatted)
    request = translate.chat(body, await _asked(served, card))
    return await _answered(body, served, request, render.chatted)


async def embed(body: schema.EmbedRequest, served: Served) -> Response:
    """Embed texts; without any, load the model."""
    started_s = time.monotonic()
    card = store.found(served, body.model)
    if any(body.input):
        request = translate.embed(body, await _asked(served, card))
        made = await served.services.embed(request)
    else:
        load_s = await served.services.load(card.name, body.keep_alive)
        made = Embeddings((), Usage(load_s=load_s))
    total_s = time.monotonic() - started_s
    said = render.embedded(body.model, made, total_s)
    return whole(said | served.footprint(), made.usage)


async def embeddings(body: schema.OldEmbeddingsRequest, served: Served) -> Response:
    """Embed one text."""
    card = store.found(served, body.model)
    if not body.prompt:
        await served.services.load(card.name, body.keep_alive)
        return whole({"embedding": []})
    made = await served.services.embed(translate.embeddings(body, await _asked(served, card)))
    return whole({"embedding": list(made.vectors[0])} | served.footprint())


async def root(served: Served) -> Response:
    """What Ollama's clients look for to know that it is there."""
    return PlainTextResponse(GREETING)


async def version(served: Served) -> Response:
    """Which version serves."""
    return whole({"version": served.services.version})


async def status(served: Served) -> Response:
    """No model of ours is in a cloud."""
    return whole({"cloud": {"disabled": True, "source": "none"}})


async def _asked(served: Served, card: ModelCard) -> Asked:
    capabilities = await served.services.capabilities(card.name)
    return Asked(answer.new_id(), card, capabilities, served.caller_id)


async def _answered(
    body: schema.Generating, served: Served, request: GenerationRequest, say: render.Say
) -> Response:
    started_s = time.monotonic()
    if body.stream:
        return await answer.lines(_lines(served, request, say, started_s))
    async with aclosing(served.services.generate(request)) as chunks:
        completion = await fold(chunks)
    total_s = time.monotonic() - started_s
    said = render.whole(body.model, say, completion, total_s, now())
    return whole(said | served.footprint(), completion.usage)


async def _lines(
    served: Served, request: GenerationRequest, say: render.Say, started_s: float
) -> AsyncGenerator[dict[str, Any]]:
    lines = render.Lines(request.model, say)
    reason: FinishReason = "stop"
    usage = Usage()
    async with aclosing(served.services.generate(request)) as chunks:
        async for chunk in chunks:
            reason, usage = chunk.finish_reason or reason, chunk.usage or usage
            for line in lines.of(chunk, now()):
                yield line
    last = lines.last(reason, usage, time.monotonic() - started_s, now())
    yield last | served.footprint()


async def _load(
    body: schema.Generating, served: Served, card: ModelCard, say: render.Say
) -> Response:
    """One object, streamed or not, as Ollama sends it."""
    if body.keep_alive == 0:
        await _unload(served, card)
        return whole(render.nothing(body.model, say, "unload", 0.0, now()))
    load_s = await served.services.load(card.name, body.keep_alive)
    return whole(render.nothing(body.model, say, "load", load_s, now()))


async def _unload(served: Served, card: ModelCard) -> None:
    """At once when idle, else after the answers it is giving."""
    loaded = await served.services.loaded()
    mine = [one for one in loaded if weights(one.card) == weights(card)]
    if mine and all(one.state == "unloading" for one in mine):
        return
    if any(one.num_running or one.num_waiting for one in mine):
        await served.services.load(card.name, 0.0)
    else:
        await served.services.unload(card.name)


ROUTES = (
    Route("GET", "/", root, summary="Say that the service is there", scope="open"),
    Route(
        "GET", "/api/version", version, None, answers.OllamaVersion, "Tell the version", scope="key"
    ),
    Route(
        "GET",
        "/api/status",
        status,
        None,
        answers.OllamaStatus,
        "Tell what is switched off",
        scope="key",
    ),
    Route(
        "POST",
        "/api/generate",
        generate,
        schema.GenerateRequest,
        answers.GenerateAnswer,
        "Continue a prompt",
        streams=answer.NDJSON,
        scope="llm:chat",
    ),
    Route(
        "POST",
        "/api/chat",
        chat,
        schema.OllamaChatRequest,
        answers.ChatAnswer,
        "Answer a chat",
        streams=answer.NDJSON,
        scope="llm:chat",
    ),
    Route(
        "POST",
        "/api/embed",
        embed,
        schema.EmbedRequest,
        answers.EmbedAnswer,
        "Embed texts",
        scope="llm:embed",
    ),
    Route(
        "POST",
        "/api/embeddings",
        embeddings,
        schema.OldEmbeddingsRequest,
        answers.OldEmbeddingsAnswer,
        "Embed one text",
        scope="llm:embed",
    ),
    reranking.route("/api/rerank"),
    Route("GET", "/api/tags", store.tags, None, answers.Tags, "List the models", scope="key"),
    Route("GET", "/api/ps", store.ps, None, answers.Running, "List the loaded models", scope="key"),
    Route(
        "POST",
        "/api/show",
        store.show,
        schema.ShowRequest,
        answers.Shown,
        "Show a model",
        scope="key",
    ),
    Route(
        "POST",
        "/api/create",
        store.create,
        schema.CreateRequest,
        answers.ProgressLine,
        "Create a model",
        streams=answer.NDJSON,
        scope="llm:admin",
    ),
    Route(
        "POST",
        "/api/copy",
        store.copy,
        schema.CopyRequest,
        summary="Copy a model",
        scope="llm:admin",
    ),
    Route(
        "DELETE",
        "/api/delete",
        store.delete,
        schema.DeleteRequest,
        summary="Delete a model",
        scope="llm:admin",
    ),
    Route(
        "POST",
        "/api/pull",
        store.pull,
        schema.PullRequest,
        answers.ProgressLine,
        "Pull a model",
        streams=answer.NDJSON,
        scope="llm:admin",
    ),
    Route(
        "POST",
        "/api/push",
        store.push,
        schema.PullRequest,
        summary="Refused: no registry",
        scope="llm:admin",
    ),
    Route(
        "HEAD", "/api/blobs/{digest}", store.has_blob, summary="Look for a file", scope="llm:admin"
    ),
    Route(
        "POST",
        "/api/blobs/{digest}",
        store.add_blob,
        summary="Upload a file",
        raw=True,
        scope="llm:admin",
    ),
)
DIALECT = Dialect("ollama", ROUTES, render.error_body)
