"""`POST /v1/tasks/…`: one input or many, whole or as they are done."""

import asyncio
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.responses import Response

from canteen.api.errors import problem, status_of
from canteen.api.fields import fields_of
from canteen.api.native.uploads import decoded
from canteen.api.receipts import ReceiptBody
from canteen.api.routing import Route, Served
from canteen.api.streaming import heartbeat, json_bytes, sse, stream
from canteen.api.whole import whole
from canteen.api.wire import Wire, expecting
from canteen.core.errors import CanteenError, InvalidRequest
from canteen.core.generation import Usage
from canteen.core.model import full_name
from canteen.tasks.batch import each
from canteen.tasks.doing import Item, Upload, do
from canteen.tasks.model import Model
from canteen.tasks.table import TASKS, Task

MOST_INPUTS = 10_000
DONE = b"[DONE]"
SSE = "text/event-stream"


class DocumentBody(Wire):
    """A document: text, Markdown, HTML, PDF, or JSONL of one line."""

    data: str = Field(description="Its bytes, in base64.")
    media_type: str = Field("", description="What it is; else its name says, or its first bytes.")
    name: str = Field("", description="The name of its file.")


Input = Annotated[
    str | DocumentBody,
    expecting("a text, or a document with its bytes as base64 in data"),
]


class TaskBody(Wire):
    """What every task takes beside its own fields."""

    model: str = Field("", description="The model that works; or the service's default.")
    embedder: str = Field(
        "", description="The model that embeds, where one does; or the service's default."
    )
    input: Input | None = Field(None, description="A text or a document.")
    inputs: list[Input] | None = Field(
        None, description="Many, answered in order; one that fails does not fail the others."
    )
    stream: bool = Field(False, description="Send text as it is written, and results as they come.")
    metadata: dict[str, Any] | None = None


class TaskAnswer(BaseModel):
    """The result of one input, or in `results` those of many: each is a result or an `error`."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())
    id: str
    task: str
    model: str
    prompt_version: str
    results: list[dict[str, Any]] | None = None
    usage: dict[str, int]
    footprint: ReceiptBody


async def run(task: Task, body: Any, served: Served) -> Response:
    """Do a task for all inputs of a body."""
    items = _items(body)
    options = {
        name: value
        for name, value in body
        if name not in TaskBody.model_fields and value is not None
    }
    # Wrong options are wrong for every input.
    model = model_of(body, served, task.version_of(task.request("", **options)))
    outcomes = each(items, partial(do, task, model, options))
    is_batch = body.inputs is not None
    if body.stream:
        beat = heartbeat(b": ping\n", served.observe)
        frames = _frames(task, model, outcomes, served, len(items) if is_batch else None)
        return await stream(frames, SSE, _last_words, beat)
    async with aclosing(outcomes):
        results = [outcome async for outcome in outcomes]
    if not is_batch and isinstance(results[0], CanteenError):
        raise results[0]
    said = [_told(one) for one in results]
    told = {"results": said} if is_batch else said[0]
    receipt = served.footprint()
    body = _head(task, model, receipt) | told | _foot(model, receipt)
    return whole(body)


def model_of(body: Any, served: Served, prompt_version: str) -> Model:
    """The models that a body names, for one request."""
    return model_named(body.model, body.embedder, served, prompt_version)


def model_named(name: str, embedder: str, served: Served, prompt_version: str) -> Model:
    """The models of these names, or the default ones, for one request; raises ModelNotFound for an
    embedder that was named and is not there."""
    settings = served.services.settings
    name = name or settings.default_model
    served.observe.model = name
    if embedder:
        served.services.catalog.get(embedder)
    return Model(
        served.services,
        name,
        embedder or settings.default_embedder,
        id=f"task-{served.observe.receipt_id.removeprefix('rcpt_')}",
        caller_id=served.caller_id,
        prompt_version=prompt_version,
    )


def _items(body: Any) -> list[Item]:
    if (body.input is None) == (body.inputs is None):
        raise InvalidRequest("give input, or inputs for many, and not both", param="input")
    if body.inputs is None:
        return [_item(body.input, "input")]
    if not 1 <= len(body.inputs) <= MOST_INPUTS:
        raise InvalidRequest(f"inputs must be from 1 to {MOST_INPUTS:,} texts", param="inputs")
    return [_item(one, f"inputs.{index}") for index, one in enumerate(body.inputs)]


def _item(given: str | Mapping[str, Any] | DocumentBody, param: str) -> Item:
    if not isinstance(given, DocumentBody):
        return given
    load = partial(decoded, given.data, f"{param}.data")
    return Upload(load, given.name, given.media_type, param)


async def _frames(
    task: Task, model: Model, outcomes: AsyncGenerator[Any], served: Served, count: int | None
) -> AsyncGenerator[bytes]:
    """Of one input, which is no batch, the pieces of its text; of each its result, at last what
    it took."""
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    if count is None:
        model.on_text = pieces.put_nowait
    async with aclosing(outcomes):
        for index in range(count or 1):
            coming = asyncio.ensure_future(anext(outcomes))
            coming.add_done_callback(lambda _: pieces.put_nowait(None))
            try:
                while (piece := await pieces.get()) is not None:
                    yield sse(json_bytes({"index": index, "delta": piece}))
                outcome = await coming
            finally:
                coming.cancel()
                await asyncio.wait([coming])
            if isinstance(outcome, CanteenError) and count is None:
                raise outcome
            yield sse(json_bytes({"index": index} | _told(outcome)))
    receipt = served.footprint()
    yield sse(json_bytes(_head(task, model, receipt) | _foot(model, receipt)))
    yield sse(DONE)


def _last_words(error: CanteenError) -> bytes:
    return sse(json_bytes({"error": problem(error, status_of(error))}), "error")


def _told(outcome: Any) -> dict[str, Any]:
    if isinstance(outcome, CanteenError):
        return {"error": problem(outcome, status_of(outcome))}
    told: dict[str, Any] = msgspec.to_builtins(outcome)
    return told


def _head(task: Task, model: Model, receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Who worked first, as the caller calls it, and by which prompt."""
    called = {full_name(name): name for name in (model.embedder, model.name)}
    worked = receipt["footprint"]["model"] if receipt else full_name(model.name)
    return {
        "id": model.id,
        "task": task.name,
        "model": called.get(worked, worked),
        "prompt_version": model.prompt_version,
    }


def _foot(model: Model, receipt: Mapping[str, Any]) -> dict[str, Any]:
    return {"usage": usage_json(model.usage), **receipt}


def usage_json(usage: Usage) -> dict[str, int]:
    """Tokens, in OpenAI's words."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _route(task: Task) -> Route:
    fields = fields_of(task.request, leave_out="text")
    with warnings.catch_warnings():
        # A field of that name hides a method of pydantic's which nobody calls any more.
        warnings.filterwarnings("ignore", 'Field name "schema"', UserWarning)
        body = create_model(task.request.__name__, __base__=TaskBody, **fields)
    handler: Callable[..., Awaitable[Response]] = partial(run, task)
    return Route(
        "POST",
        f"/v1/tasks/{task.name}",
        handler,
        body,
        TaskAnswer,
        task.about,
        SSE,
        scope="llm:tasks",
    )


ROUTES = tuple(_route(task) for task in TASKS.values())
