"""OpenAI's `/v1/batches`: many requests of a file, answered in the background."""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from canteen.api.auth import check_scope
from canteen.api.background import Background
from canteen.api.background.background import is_seen_by
from canteen.api.errors import HttpError
from canteen.api.openai import files
from canteen.api.openai.batch_lines import Line, lines_of
from canteen.api.openai.pages import page
from canteen.api.routing import Route, Served
from canteen.api.whole import whole
from canteen.api.wire import Name, Wire
from canteen.core import trace
from canteen.core.errors import InvalidRequest
from canteen.runtime.deferred.batches import Batch, new_batch_id
from canteen.runtime.deferred.book import LINES_TURN
from canteen.runtime.deferred.request import Deferred, kept, model_of, new_id

_WINDOW = re.compile(r"([1-9]\d{0,2})([hd])")
_UNITS_S = {"h": 3600.0, "d": 86_400.0}
_LONGEST_WINDOW_S = 7 * 86_400.0
# Where the time stands at which a batch came to such an end.
_ENDS = {name: f"{name}_at" for name in ("completed", "failed", "expired", "cancelled")}


class BatchRequest(Wire):
    """A batch: a file of requests to one endpoint."""

    input_file_id: Name
    endpoint: Name = Field(description="A path at which a model is asked: /v1/chat/completions.")
    completion_window: str = Field("24h", description="Until when: hours or days, 24h or 7d.")
    metadata: dict[str, str] = Field(default_factory=dict, max_length=16)


class RequestCounts(BaseModel):
    """How many requests there are, and how many of them are answered and failed."""

    total: int
    completed: int
    failed: int


class BatchObject(BaseModel):
    """A batch; times are seconds since 1970."""

    id: str
    object: str = "batch"
    endpoint: str
    errors: dict[str, Any] | None
    input_file_id: str
    completion_window: str
    status: str
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    metadata: dict[str, str]


class BatchList(BaseModel):
    """Batches, the newest first."""

    object: str = "list"
    data: list[BatchObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


async def create(body: BatchRequest, served: Served) -> Response:
    """Read a file and begin with its requests; one that cannot be read fails as a whole."""
    route = Background.of(served.request).routes.get(body.endpoint, "endpoint")
    check_scope(route.scope, served.observe.caller)
    window_s = _window_s(body.completion_window)
    file = await files.found(body.input_file_id, served)
    rooms = served.services.deferred
    text = await asyncio.to_thread(rooms.files.content, file.id)
    lines, errors = await asyncio.to_thread(lines_of, text, body.endpoint)
    now_s = rooms.book.clock()
    batch = Batch(
        new_batch_id(),
        served.observe.caller_id,
        body.endpoint,
        file.id,
        body.completion_window,
        now_s,
        now_s + window_s,
        body.metadata,
        status="failed" if errors else "in_progress",
        errors=errors,
        ended_s=now_s if errors else None,
        num_lines=len(lines),
        num_left=0 if errors else len(lines),
    )
    trace_headers = trace.outgoing()
    left = (_deferred(batch, line, served, trace_headers) for line in lines if not errors)
    await asyncio.to_thread(rooms.batches.add, batch, left)
    Background.of(served.request).wake()
    return whole(_told(batch))


async def every(served: Served) -> Response:
    """The batches that the caller may see, a page of them."""
    batches = await asyncio.to_thread(served.services.deferred.batches.all)
    mine = [_told(one) for one in batches if is_seen_by(one.caller_id, served.observe)]
    return whole(page(mine, served.request.query_params))


async def show(served: Served) -> Response:
    """How a batch stands."""
    return whole(_told(await _found(served)))


async def cancel(served: Served) -> Response:
    """End what is not over of a batch; what is answered is in its file."""
    batch = await _found(served)
    await asyncio.to_thread(served.services.deferred.batches.cancel, batch.id)
    Background.of(served.request).wake()
    return whole(_told(await _found(served)))


async def _found(served: Served) -> Batch:
    batch_id = served.path["id"]
    batch = await asyncio.to_thread(served.services.deferred.batches.get, batch_id)
    if batch is None or not is_seen_by(batch.caller_id, served.observe):
        message = f"no batch '{batch_id[:64]}'; GET /v1/batches lists those there are"
        raise HttpError(404, message, code="batch_not_found")
    return batch


def _deferred(batch: Batch, line: Line, served: Served, headers: Mapping[str, str]) -> Deferred:
    return Deferred(
        new_id(),
        batch.endpoint,
        # Escapes of what is no text in UTF-8 stay escapes.
        json.dumps({**line.body, "stream": False}),
        created_s=batch.created_s,
        deadline_s=batch.expires_s,
        caller_id=batch.caller_id,
        caller=kept(served.observe.caller),
        headers=headers,
        model=model_of(line.body),
        turn=LINES_TURN + line.number,
        batch_id=batch.id,
        custom_id=line.custom_id,
        number=line.number,
    )


def _window_s(text: str) -> float:
    found = _WINDOW.fullmatch(text)
    window_s = int(found[1]) * _UNITS_S[found[2]] if found else 0.0
    if not 0 < window_s <= _LONGEST_WINDOW_S:
        raise InvalidRequest(
            "completion_window is hours or days up to a week: 24h, 3d", param="completion_window"
        )
    return window_s


def _told(batch: Batch) -> dict[str, Any]:
    """It as OpenAI's clients read it."""
    end_s = None if batch.ended_s is None else int(batch.ended_s)
    ends = {name: end_s if batch.status == status else None for status, name in _ENDS.items()}
    is_read = batch.status != "failed"
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "errors": {"object": "list", "data": batch.errors} if batch.errors else None,
        "input_file_id": batch.input_file_id,
        "completion_window": batch.completion_window,
        "status": batch.status,
        "output_file_id": batch.output_file_id or None,
        "error_file_id": batch.error_file_id or None,
        "created_at": int(batch.created_s),
        "in_progress_at": int(batch.created_s) if is_read else None,
        "expires_at": int(batch.expires_s),
        "finalizing_at": end_s if is_read else None,
        **ends,
        "cancelling_at": None if batch.cancelling_s is None else int(batch.cancelling_s),
        "request_counts": {
            "total": batch.num_lines,
            "completed": batch.num_completed,
            "failed": batch.num_failed if is_read else 0,
        },
        "metadata": dict(batch.metadata),
    }


ROUTES = (
    Route("POST", "/batches", create, BatchRequest, BatchObject, "Begin a batch", scope="key"),
    Route("GET", "/batches", every, None, BatchList, "List the batches", scope="key"),
    Route("GET", "/batches/{id}", show, None, BatchObject, "How a batch stands", scope="key"),
    Route("POST", "/batches/{id}/cancel", cancel, None, BatchObject, "End a batch", scope="key"),
)
