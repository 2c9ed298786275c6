"""Responses that are made in the background, asked for by their ids."""

import json
import uuid
from typing import Any

from starlette.responses import Response

from canteen.api import body as bodies
from canteen.api.background import Background
from canteen.api.background.background import Wanted
from canteen.api.background.preferring import message_id_of, passed
from canteen.api.openai.responses import render, schema
from canteen.api.routing import Served
from canteen.api.whole import whole
from canteen.core.errors import InvalidRequest, JobNotFound
from canteen.runtime.deferred.request import Deferred

PATH = "/v1/responses"
PATHS = (PATH, "/responses")
_STATUSES = {"running": "in_progress", "queued": "queued", "cancelled": "cancelled"}


async def left(body: schema.ResponseRequest, served: Served) -> Response:
    """Keep a request; gives the response as it stands, queued."""
    if body.stream:
        raise InvalidRequest(
            "a response in the background is asked for by its id; leave out stream", param="stream"
        )
    asked = body.model_dump(mode="json", by_alias=True, exclude_unset=True)
    wanted = Wanted(
        PATH,
        {name: value for name, value in asked.items() if name not in ("background", "stream")},
        message_id=message_id_of(served.request),
        headers=passed(served.request),
        job_id=f"resp_{uuid.uuid4().hex}",
    )
    return whole(_told(await Background.of(served.request).submit(wanted, served.observe)))


async def show(served: Served) -> Response:
    """How a response in the background stands."""
    return whole(_told(await _found(served)))


async def cancel(served: Served) -> Response:
    """End a response in the background; one that is over stays as it is."""
    one = await _found(served)
    if not one.is_over:
        one = await Background.of(served.request).cancel(one.id, served.observe)
    return whole(_told(one))


async def _found(served: Served) -> Deferred:
    """The response of the id; raises JobNotFound, also for jobs of other routes."""
    one = await Background.of(served.request).get(served.path["id"], served.observe)
    if one.path not in PATHS:
        raise JobNotFound(one.id)
    return one


def _told(one: Deferred) -> dict[str, Any]:
    """It as OpenAI's clients read it."""
    if one.state == "done":
        return {**one.said, "id": one.id, "background": True}
    body = bodies.valid(json.loads(one.body), schema.ResponseRequest)
    shell = render.begun(body, one.id, int(one.created_s)) | {"background": True}
    if one.state == "failed":
        error = {"code": "server_error", "message": one.error}
        return shell | {"status": "failed", "error": error}
    return shell | {"status": _STATUSES[one.state]}
