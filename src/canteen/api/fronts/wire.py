"""What a front and the core say to each other: ASGI in messages, in the frames of the workers'."""

import asyncio
from collections.abc import Callable

import msgspec

from canteen.core.generation import EmbeddingRequest, GenerationRequest
from canteen.engines.wire import frame, received

# So much of one answer may be on its way to its caller before the core waits for some to arrive.
WINDOW_BYTES = 1 << 18

Headers = list[tuple[bytes, bytes]]


class Welcome(msgspec.Struct, tag=True, frozen=True):
    """The first message to a front: where the models are, what is to be logged, and how large the
    bodies are, at most, that may be translated there."""

    home: str
    log_level: str
    most_bytes: int


class Ready(msgspec.Struct, tag=True, frozen=True):
    """The front accepts connections."""


class End(msgspec.Struct, tag=True, frozen=True):
    """The front is to accept no more, and end when all is sent."""


class Begin(msgspec.Struct, tag=True, frozen=True):
    """A request: the scope of ASGI, what is there of its body, and when it came; or what its body
    was translated to."""

    id: int
    scope: "Scope"
    arrived_s: float
    body: bytes = b""
    more_body: bool = False
    generation: GenerationRequest | None = None
    embedding: EmbeddingRequest | None = None


class Scope(msgspec.Struct, frozen=True):
    """What ASGI's scope of a request has in it, and whether its connection is one too many."""

    http_version: str
    method: str
    scheme: str
    path: str
    raw_path: bytes
    query_string: bytes
    headers: Headers
    client: tuple[str, int] | None
    server: tuple[str, int | None] | None
    is_surplus: bool = False


class Want(msgspec.Struct, tag=True, frozen=True):
    """More of the body is wanted."""

    id: int


class Piece(msgspec.Struct, tag=True, frozen=True):
    """More of the body."""

    id: int
    body: bytes
    more_body: bool


class Gone(msgspec.Struct, tag=True, frozen=True):
    """The caller has gone."""

    id: int


class Start(msgspec.Struct, tag=True, frozen=True):
    """The head of an answer."""

    id: int
    status: int
    headers: Headers


class Body(msgspec.Struct, tag=True, frozen=True):
    """A part of an answer."""

    id: int
    body: bytes
    more_body: bool


class Broken(msgspec.Struct, tag=True, frozen=True):
    """The application ended before its answer did."""

    id: int


class Passed(msgspec.Struct, tag=True, frozen=True):
    """So much of an answer has gone on to its caller."""

    id: int
    num_bytes: int


ToCore = Ready | Begin | Piece | Gone | Passed
ToFront = Welcome | End | Want | Start | Body | Broken

decode_to_core = msgspec.msgpack.Decoder(ToCore).decode
decode_to_front = msgspec.msgpack.Decoder(ToFront).decode


class Outbox:
    """Writes messages, those of one turn of the event loop together."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._held = bytearray()

    def send(self, message: ToCore | ToFront) -> None:
        """Have a message written, if the other end is still there."""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held += frame(message)

    def flush(self) -> None:
        """Write what is held."""
        held, self._held = self._held, bytearray()
        if held and not self._writer.is_closing():
            self._writer.write(held)


async def read(reader: asyncio.StreamReader, handle: Callable[[bytearray], object]) -> None:
    """Hand on the body of each message until the other end is gone."""
    async for bodies in received(reader):
        for body in bodies:
            handle(body)
