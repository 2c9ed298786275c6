"""The jobs that are requests to models, answered later."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from pydantic import Field

from canteen.api import body
from canteen.api.background import Background
from canteen.api.background.background import (
    LONGEST_TIMEOUT_S,
    LONGEST_WAIT_S,
    USUAL_TIMEOUT_S,
    Wanted,
)
from canteen.api.background.preferring import message_id_of, passed
from canteen.api.routing import Served
from canteen.api.wire import JsonObject, Wire
from canteen.core.errors import InvalidRequest, JobNotFound
from canteen.runtime.deferred.request import Deferred, told


class RequestSpec(Wire):
    """A request that is answered later."""

    path: str = Field(max_length=256)
    body: JsonObject
    message_id: str = Field("", max_length=255, pattern=r"^[\x20-\x7e]*$")
    webhook: str = Field("", max_length=2048)
    timeout_s: float = Field(USUAL_TIMEOUT_S, gt=0, le=LONGEST_TIMEOUT_S)


async def left(spec: dict[str, Any], served: Served) -> Deferred:
    """Keep what a job's specification asks for; raises what its route would of it."""
    asked = body.valid(spec, RequestSpec)
    wanted = Wanted(
        asked.path,
        asked.body,
        message_id=asked.message_id or message_id_of(served.request),
        timeout_s=asked.timeout_s,
        webhook=asked.webhook,
        headers=passed(served.request),
    )
    return await Background.of(served.request).submit(wanted, served.observe)


async def listed(served: Served) -> list[Deferred]:
    """The newest that the caller may see."""
    return await Background.of(served.request).newest(served.observe)


async def found(served: Served, wait_s: float = 0.0) -> Deferred | None:
    """The request that goes by the id; None where that is none of a request."""
    try:
        return await Background.of(served.request).get(served.path["id"], served.observe, wait_s)
    except JobNotFound:
        return None


async def standing(one: Deferred, served: Served) -> AsyncGenerator[Mapping[str, Any]]:
    """How a request stands, whenever that changes; at its end what was answered too."""
    while not one.is_over:
        yield {"event": one.state, "attempts": one.attempts}
        one = await Background.of(served.request).until_changed(one, served.observe)
    yield {"event": one.state, "job": told(one)}


def wait_s(served: Served) -> float:
    """How long the caller would wait, by `?wait=`; raises InvalidRequest."""
    text = served.request.query_params.get("wait", "0")
    if not text.isdecimal() or float(text) > LONGEST_WAIT_S:
        raise InvalidRequest(f"wait is a number of seconds up to {LONGEST_WAIT_S:g}", param="wait")
    return float(text)
