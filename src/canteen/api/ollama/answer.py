"""How an answer of this dialect leaves: as one JSON body, or as lines of JSON."""

import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.responses import Response

from canteen.api.ollama import render
from canteen.api.streaming import json_bytes, stream
from canteen.api.whole import whole
from canteen.core.errors import CanteenError
from canteen.core.model import Progress

NDJSON = "application/x-ndjson"


def new_id() -> str:
    """An id nobody else has, whatever request id the client sent."""
    return uuid.uuid4().hex


def done(status: int = 200) -> Response:
    """Done, and nothing to say."""
    return Response(status_code=status)


async def lines(bodies: AsyncGenerator[dict[str, Any]]) -> Response:
    """One object a line, nothing between; an error after the first is a line too."""
    return await stream(_framed(bodies), NDJSON, _late_error)


async def progress(steps: AsyncGenerator[Progress], *, is_streamed: bool) -> Response:
    """Every step, or only that all went well."""
    if is_streamed:
        return await lines(_rendered(steps))
    async with aclosing(steps):
        async for _ in steps:
            pass
    return whole({"status": "success"})


async def _rendered(steps: AsyncGenerator[Progress]) -> AsyncGenerator[dict[str, Any]]:
    async with aclosing(steps):
        async for step in steps:
            yield render.progress(step)


async def _framed(bodies: AsyncGenerator[dict[str, Any]]) -> AsyncGenerator[bytes]:
    async with aclosing(bodies):
        async for body in bodies:
            yield line(body)


def line(body: dict[str, Any]) -> bytes:
    """A line of the stream."""
    return json_bytes(body) + b"\n"


def _late_error(error: CanteenError) -> bytes:
    return line(render.late_error(error))
