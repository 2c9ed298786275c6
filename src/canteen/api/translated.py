"""Requests that a front has translated, answered in parts that are rendered there."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import msgspec
from starlette.responses import Response

from canteen.api.routing import Served
from canteen.api.streaming import heartbeat, stream
from canteen.core.errors import CanteenError
from canteen.core.generation import Chunk, EmbeddingRequest, Embeddings, GenerationRequest
from canteen.engines.wire import WireError, frame, to_wire

# In the scope of a request: what it was translated to.
ASKED = "canteen.asked"
MEDIA_TYPE = "application/vnd.canteen.told"

Asked = GenerationRequest | EmbeddingRequest


class Portion(msgspec.Struct, frozen=True, array_like=True):
    """A part of an answer; the last has the key of its final object that is its receipt."""

    chunk: Chunk | None = None
    embeddings: Embeddings | None = None
    error: WireError | None = None
    footprint: dict[str, Any] = {}


decode_portion = msgspec.msgpack.Decoder(Portion).decode


async def answered(asked: Asked, served: Served, *, has_heartbeat: bool) -> Response:
    """The answer, for a front: as it comes, or where its caller wants it so, whole."""
    asked = replace(asked, caller_id=served.caller_id)
    if isinstance(asked, EmbeddingRequest):
        made = await served.services.embed(asked)
        return _whole(frame(Portion(embeddings=made, footprint=served.footprint())))
    frames = _frames(asked, served)
    if asked.is_streamed:
        # The front says in its dialect that there is still nothing to say.
        beat = heartbeat(b"", served.observe) if has_heartbeat else None
        return await stream(frames, MEDIA_TYPE, _late_error, beat)
    async with aclosing(frames):
        return _whole(b"".join([frame async for frame in frames]))


async def _frames(asked: GenerationRequest, served: Served) -> AsyncGenerator[bytes]:
    async with aclosing(served.services.generate(asked)) as chunks:
        async for chunk in chunks:
            receipt = {} if chunk.usage is None else served.footprint()
            yield frame(Portion(chunk, footprint=receipt))


def _late_error(error: CanteenError) -> bytes:
    return frame(Portion(error=to_wire(error)))


def _whole(body: bytes) -> Response:
    return Response(body, media_type=MEDIA_TYPE)
