"""What gateway and worker say to each other: typed messages in length-prefixed frames."""

import asyncio
import struct
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from typing import Any

import msgspec

from canteen.core.engine import Capabilities, Delta, EngineStats, Home, StepRecord
from canteen.core.errors import (
    CanteenError,
    ContextTooLong,
    DeadlineExceeded,
    EngineError,
    InvalidOutput,
    InvalidRequest,
    ModelUnsuitable,
    NotSupported,
    Overloaded,
    RateLimited,
    UpstreamFailed,
    WorkerDied,
)
from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    Embeddings,
    GenerationRequest,
    ScoreRequest,
    Scores,
)

HEADER = struct.Struct("<I")
READ_BYTES = 1 << 18
TOO_LONG = ("prompt_tokens", "context_length", "is_at_least")
INVALID = {kind.__name__: kind for kind in (InvalidRequest, NotSupported, ModelUnsuitable)}
WAITING = {kind.__name__: kind for kind in (Overloaded, RateLimited)}
FAILED = {kind.__name__: kind for kind in (WorkerDied, UpstreamFailed, InvalidOutput)}


class Load(msgspec.Struct, tag=True, frozen=True):
    """The first message to a worker: which engine, with what, and whether somebody wants to
    hear what its steps took."""

    engine: str
    options: dict[str, Any]
    is_heard: bool = False


class Add(msgspec.Struct, tag=True, frozen=True):
    """Start a request."""

    request: GenerationRequest


class Score(msgspec.Struct, tag=True, frozen=True):
    """Start a request for scores."""

    request: ScoreRequest


class Cancel(msgspec.Struct, tag=True, frozen=True):
    """Stop a request and free what it holds."""

    request_id: str


class Embed(msgspec.Struct, tag=True, frozen=True):
    """Embed texts."""

    request: EmbeddingRequest


class AskStats(msgspec.Struct, tag=True, frozen=True):
    """Ask for a Stats."""


class Rest(msgspec.Struct, tag=True, frozen=True):
    """Fall asleep, or wake up."""

    is_asleep: bool


class WireError(msgspec.Struct, frozen=True):
    """An error of the tree, by the name of its class."""

    kind: str
    message: str
    code: str
    fields: dict[str, Any] = {}


class Loaded(msgspec.Struct, tag=True, frozen=True):
    """The model is loaded, with `cpu_s` of processor time since the process began; an embedder
    has no capabilities to tell."""

    name: str
    capabilities: Capabilities | None = None
    cpu_s: float = 0.0


class LoadFailed(msgspec.Struct, tag=True, frozen=True):
    """The model could not be loaded."""

    error: WireError


class WireDelta(msgspec.Struct, frozen=True, array_like=True):
    """A Delta whose error can travel."""

    request_id: str
    chunk: Chunk | None = None
    error: WireError | None = None
    scores: Scores | None = None


class Step(msgspec.Struct, tag=True, frozen=True):
    """All that one engine step gave, and what it took; no record where nothing was computed."""

    deltas: list[WireDelta]
    record: StepRecord | None = None


class Embedded(msgspec.Struct, tag=True, frozen=True):
    """The vectors of one Embed, or why there are none."""

    request_id: str
    embeddings: Embeddings | None = None
    error: WireError | None = None


class Stats(msgspec.Struct, tag=True, frozen=True):
    """The worker's gauges now."""

    stats: EngineStats


class Rested(msgspec.Struct, tag=True, frozen=True):
    """What a Rest asked for is done, or why it is not."""

    is_asleep: bool
    error: WireError | None = None


class Report(msgspec.Struct, frozen=True):
    """What a replica of a cluster is and does: either `loaded`, or the error that it met."""

    home: Home
    loaded: Loaded | None = None
    error: WireError | None = None
    stats: EngineStats = EngineStats()


class Told(msgspec.Struct):
    """What a replica tells a request at once: an answer or an error, and what was done for it since
    the last time. The first time it says who it is."""

    chunk: Chunk | None = None
    scores: Scores | None = None
    embeddings: Embeddings | None = None
    error: WireError | None = None
    records: list[StepRecord] = []
    home: Home | None = None

    @property
    def said(self) -> Chunk | Scores | Embeddings | CanteenError:
        """The answer or the error; there is one."""
        if self.error is not None:
            return from_wire(self.error)
        said = self.chunk or self.scores or self.embeddings
        assert said is not None
        return said


Command = Load | Add | Score | Cancel | Embed | AskStats | Rest
Event = Loaded | LoadFailed | Step | Embedded | Stats | Rested

_encoder = msgspec.msgpack.Encoder()
decode_command = msgspec.msgpack.Decoder(Command).decode
decode_event = msgspec.msgpack.Decoder(Event).decode
decode_report = msgspec.msgpack.Decoder(Report).decode
decode_told = msgspec.msgpack.Decoder(Told).decode
encode = _encoder.encode


def frame(message: msgspec.Struct) -> bytes:
    """A message with its length in front, as `split` takes it off."""
    body = _encoder.encode(message)
    return HEADER.pack(len(body)) + body


def split(buffer: bytearray) -> Iterator[bytearray]:
    """Take the messages that are there whole off the front of what was read."""
    at = 0
    while len(buffer) - at >= HEADER.size:
        (size,) = HEADER.unpack_from(buffer, at)
        end = at + HEADER.size + size
        if end > len(buffer):
            break
        yield buffer[at + HEADER.size : end]
        at = end
    del buffer[:at]


async def received(reader: asyncio.StreamReader) -> AsyncGenerator[Iterator[bytearray]]:
    """The messages of each reading, to be looked at before the next, until the other end is
    gone."""
    buffer = bytearray()
    with suppress(ConnectionError):
        while data := await reader.read(READ_BYTES):
            buffer += data
            yield split(buffer)


def to_wire(error: CanteenError) -> WireError:
    """An error, ready to travel."""
    names = TOO_LONG if isinstance(error, ContextTooLong) else ("param", "retry_after_s")
    fields = {name: getattr(error, name) for name in names if hasattr(error, name)}
    return WireError(type(error).__name__, error.message, error.code, fields)


def from_wire(wire: WireError) -> CanteenError:
    """The error that travelled; a kind that is unknown here is an EngineError."""
    if wire.kind == ContextTooLong.__name__:
        return ContextTooLong(**wire.fields)
    if wire.kind == DeadlineExceeded.__name__:
        return DeadlineExceeded()
    if wire.kind in INVALID:
        return INVALID[wire.kind](wire.message, code=wire.code, **wire.fields)
    if wire.kind in WAITING:
        return WAITING[wire.kind](wire.message, code=wire.code, **wire.fields)
    return FAILED.get(wire.kind, EngineError)(wire.message, code=wire.code)


def wire_delta(delta: Delta) -> WireDelta:
    """A Delta, ready to travel."""
    error = to_wire(delta.error) if delta.error else None
    return WireDelta(delta.request_id, delta.chunk, error, delta.scores)
