"""A front's side of the line: what it asks the core, and how it hears the answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import Message, Receive, Send
from starlette.types import Scope as AsgiScope

from canteen.api.fronts.wire import (
    WINDOW_BYTES,
    Begin,
    Body,
    Broken,
    End,
    Gone,
    Outbox,
    Passed,
    Piece,
    Scope,
    Start,
    ToCore,
    Want,
    Welcome,
    decode_to_front,
)
from canteen.api.guard import SURPLUS
from canteen.api.translated import MEDIA_TYPE, Asked, decode_portion
from canteen.core.errors import CanteenError, EngineError, Overloaded
from canteen.core.generation import EmbeddingRequest, GenerationRequest
from canteen.core.turns import FAULT
from canteen.engines.coalescing import Inbox, Pace, is_last
from canteen.engines.wire import from_wire, split


class AnsweredByCore(CanteenError):
    """The core has an answer of its own, a refusal most of all, which is to be passed on."""


class Line:
    """What goes to the core and comes from it."""

    def __init__(self, outbox: Outbox) -> None:
        self.welcome: asyncio.Future[Welcome] = asyncio.get_running_loop().create_future()
        self.is_ending = asyncio.Event()
        self.pace = Pace()
        self._outbox = outbox
        self._is_lost = False
        self._num_begun = 0
        self._exchanges: dict[int, Exchange] = {}

    def send(self, message: ToCore) -> None:
        """Tell the core."""
        self._outbox.send(message)

    @asynccontextmanager
    async def exchange(self, arrived_s: float) -> AsyncIterator["Exchange"]:
        """A request that may be asked of the core; what is not over then is wanted no more."""
        self._num_begun += 1
        exchange = self._exchanges[self._num_begun] = Exchange(self._num_begun, self, arrived_s)
        if self._is_lost:
            exchange.lose()
        try:
            yield exchange
        finally:
            if exchange.is_begun and not exchange.is_over:
                self.send(Gone(exchange.id))
            del self._exchanges[exchange.id]

    def handle(self, message: bytearray) -> None:
        """Take a message of the core's."""
        self.pace.look()
        said = decode_to_front(message)
        if isinstance(said, Welcome):
            self.welcome.set_result(said)
        elif isinstance(said, End):
            self.is_ending.set()
        elif (exchange := self._exchanges.get(said.id)) is not None:
            exchange.take(said)

    def lost(self) -> None:
        """The core is gone: nothing comes any more."""
        self._is_lost = True
        self.is_ending.set()
        if not self.welcome.done():
            self.welcome.set_exception(_lost())
        for exchange in self._exchanges.values():
            exchange.lose()


class Exchange:
    """One request of a caller's, and what the core says to it.

    What the core says in its own words is kept for `relay`; what it has begun to say in parts for
    the front to render (`is_told`) comes to the `inbox`. `is_over`: the core owes nothing more.
    """

    def __init__(self, number: int, line: Line, arrived_s: float) -> None:
        self.id = number
        self.inbox = Inbox(line.pace)
        self.footprint: dict[str, Any] = {}
        self.start: Start | None = None
        self.is_begun = False
        self.is_told = False
        self.is_over = False
        self._arrived_s = arrived_s
        self._line = line
        self._is_lost = False
        self._has_more = False
        self._num_passed = 0
        self._buffer = bytearray()
        self._said: asyncio.Queue[Start | Body | None] = asyncio.Queue()
        self._wanted = asyncio.Event()

    def begin(
        self,
        scope: AsgiScope,
        *,
        asked: Asked | None = None,
        body: bytes = b"",
        more_body: bool = False,
    ) -> None:
        """Ask; raises Overloaded where there is no core any more."""
        if self._is_lost:
            raise _lost()
        self.is_begun, self._has_more = True, more_body
        begin = Begin(
            self.id,
            _scope(scope),
            self._arrived_s,
            body,
            more_body,
            generation=asked if isinstance(asked, GenerationRequest) else None,
            embedding=asked if isinstance(asked, EmbeddingRequest) else None,
        )
        self._line.send(begin)

    def take(self, said: Start | Body | Want | Broken) -> None:
        """What the core says of this request."""
        if isinstance(said, Want):
            self._wanted.set()
        elif isinstance(said, Broken):
            self.inbox.put(EngineError(FAULT))
            self._said.put_nowait(None)
        elif isinstance(said, Start):
            self.start = said
            self.is_told = (b"content-type", MEDIA_TYPE.encode()) in said.headers
            self._said.put_nowait(said)
            if not self.is_told:
                self.inbox.put(AnsweredByCore("the core answers"))
        elif self.is_told:
            self._hear(said)
        else:
            self._said.put_nowait(said)

    def lose(self) -> None:
        """The core is gone."""
        self._is_lost = self.is_over = True
        self.inbox.put(_lost())
        self._said.put_nowait(None)

    def _hear(self, said: Body) -> None:
        self._pass(len(said.body))
        self._buffer += said.body
        for frame in split(self._buffer):
            told = decode_portion(frame)
            self.footprint = told.footprint
            part = from_wire(told.error) if told.error else told.chunk or told.embeddings
            if part is not None:
                self.is_over = is_last(part)
                self.inbox.put(part)

    def _pass(self, num_bytes: int) -> None:
        """Tell the core, now and then, what it need not wait for."""
        self._num_passed += num_bytes
        if self._num_passed > WINDOW_BYTES // 4:
            self._line.send(Passed(self.id, self._num_passed))
            self._num_passed = 0

    async def relay(self, receive: Receive, send: Send) -> None:
        """Pass on what is left of the request, and the core's answer in its own words; raises
        Overloaded where the core is gone before it has begun one."""
        feeding = asyncio.ensure_future(self._feed(receive))
        try:
            while not self.is_over:
                said = await self._said.get()
                if said is None:
                    break
                await send(_message(said))
                if isinstance(said, Body):
                    self._pass(len(said.body))
                    self.is_over = not said.more_body
        finally:
            feeding.cancel()
        if self._is_lost and self.start is None:
            raise _lost()

    async def _feed(self, receive: Receive) -> None:
        """Ask the caller for more whenever the core wants more, then wait for it to go."""
        while True:
            if self._has_more:
                await self._wanted.wait()
                self._wanted.clear()
            message = await receive()
            if message["type"] == "http.disconnect":
                # `Line.exchange` tells the core.
                self._said.put_nowait(None)
                return
            body, self._has_more = message.get("body", b""), message.get("more_body", False)
            self._line.send(Piece(self.id, body, self._has_more))


def _lost() -> Overloaded:
    return Overloaded("the service has ended; ask again", retry_after_s=1.0, code="draining")


def _scope(scope: AsgiScope) -> Scope:
    return Scope(
        scope["http_version"],
        scope["method"],
        scope["scheme"],
        scope["path"],
        scope["raw_path"],
        scope["query_string"],
        scope["headers"],
        scope["client"],
        scope["server"],
        is_surplus=SURPLUS in scope,
    )


def _message(said: Start | Body) -> Message:
    if isinstance(said, Start):
        return {"type": "http.response.start", "status": said.status, "headers": said.headers}
    return {"type": "http.response.body", "body": said.body, "more_body": said.more_body}
