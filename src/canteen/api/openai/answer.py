"""How an answer of this dialect leaves: as one JSON body, or as server-sent events."""

import time
import uuid
from collections.abc import AsyncIterator

from starlette.responses import Response

from canteen.api.openai import render
from canteen.api.routing import Observation, status_of
from canteen.api.streaming import heartbeat, json_bytes, sse, stream
from canteen.core.errors import CanteenError

HEARTBEAT = b": ping\n"


def new_id(prefix: str) -> str:
    """An id nobody else has, whatever request id the client sent."""
    return f"{prefix}{uuid.uuid4().hex}"


def now() -> int:
    """Whole seconds since 1970, as `created` has them."""
    return int(time.time())


async def events(frames: AsyncIterator[bytes], observe: Observation) -> Response:
    """Server-sent events; an error after the first is an event too, and the last one."""
    return await stream(frames, "text/event-stream", _late_error, heartbeat(HEARTBEAT, observe))


def _late_error(error: CanteenError) -> bytes:
    """Some clients look for the event's name, others for the key, so it has both."""
    return sse(json_bytes(render.error_body(error, status_of(error))), "error")
