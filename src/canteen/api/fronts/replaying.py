"""The core's side of a front: each of its requests is asked of the application as any other."""

import asyncio
from typing import Any

from starlette.types import ASGIApp, Message

from canteen.api.access import ARRIVED_S
from canteen.api.fronts.wire import (
    WINDOW_BYTES,
    Begin,
    Body,
    Broken,
    Gone,
    Outbox,
    Passed,
    Piece,
    Ready,
    Start,
    Want,
    decode_to_core,
)
from canteen.api.guard import SURPLUS
from canteen.api.translated import ASKED
from canteen.core.turns import guarded

DISCONNECT = {"type": "http.disconnect"}


class Replaying:
    """Asks `app` what a front is asked, and sends the answers to its outbox."""

    def __init__(self, app: ASGIApp, outbox: Outbox, is_ready: asyncio.Event) -> None:
        self._app = app
        self._outbox = outbox
        self._is_ready = is_ready
        self._exchanges: dict[int, _Exchange] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, message: bytearray) -> None:
        """Take a message of the front's."""
        said = decode_to_core(message)
        if isinstance(said, Ready):
            self._is_ready.set()
        elif isinstance(said, Begin):
            # Here and not in the task: its caller's going may be the very next message.
            begun = self._exchanges[said.id] = _Exchange(said, self._outbox)
            task = asyncio.ensure_future(self._answer(said, begun))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif (exchange := self._exchanges.get(said.id)) is not None:
            exchange.take(said)

    async def lost(self) -> None:
        """The front is gone, and so are all whom it spoke for; wait until their work has ended."""
        for exchange in self._exchanges.values():
            exchange.take(Gone(0))
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _answer(self, begin: Begin, exchange: "_Exchange") -> None:
        try:
            await guarded(
                self._app(_scope(begin), exchange.receive, exchange.send), None, "a request failed"
            )
            exchange.end()
        finally:
            del self._exchanges[begin.id]


class _Exchange:
    """One request's `receive` and `send`, at the other end of the line."""

    def __init__(self, begin: Begin, outbox: Outbox) -> None:
        self._id = begin.id
        self._outbox = outbox
        self._piece: Piece | None = Piece(begin.id, begin.body, begin.more_body)
        self._has_more = True
        self._is_gone = False
        self._is_whole = False
        self._num_under_way = 0
        self._news = asyncio.Event()

    def take(self, said: Piece | Gone | Passed) -> None:
        """What the front says of this request."""
        if isinstance(said, Piece):
            self._piece = said
        elif isinstance(said, Passed):
            self._num_under_way -= said.num_bytes
        else:
            self._is_gone = True
        self._news.set()

    async def receive(self) -> Message:
        """The next piece of the body, which is asked for when it is wanted; then the end."""
        if self._has_more and self._piece is None and not self._is_gone:
            self._outbox.send(Want(self._id))
        while not self._is_gone and (self._piece is None or not self._has_more):
            await self._wait()
        if self._piece is None or not self._has_more:
            return DISCONNECT
        piece, self._piece = self._piece, None
        self._has_more = piece.more_body
        return {"type": "http.request", "body": piece.body, "more_body": piece.more_body}

    async def send(self, message: Message) -> None:
        """A part of the answer; waits while too much of it has not come to its caller."""
        if self._is_gone:
            return
        if message["type"] == "http.response.start":
            self._outbox.send(Start(self._id, message["status"], list(message["headers"])))
            return
        body, more_body = message.get("body", b""), message.get("more_body", False)
        self._outbox.send(Body(self._id, body, more_body))
        self._is_whole = not more_body
        self._num_under_way += len(body)
        while self._num_under_way > WINDOW_BYTES and more_body and not self._is_gone:
            await self._wait()

    def end(self) -> None:
        """There is no more; say so where the answer is not whole."""
        if not self._is_whole and not self._is_gone:
            self._outbox.send(Broken(self._id))

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()


def _scope(begin: Begin) -> dict[str, Any]:
    told = begin.scope
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": told.http_version,
        "method": told.method,
        "scheme": told.scheme,
        "path": told.path,
        "raw_path": told.raw_path,
        "query_string": told.query_string,
        "root_path": "",
        "headers": told.headers,
        "client": told.client,
        "server": told.server,
        "state": {},
        ARRIVED_S: begin.arrived_s,
    }
    if told.is_surplus:
        scope[SURPLUS] = True
    if (asked := begin.generation or begin.embedding) is not None:
        scope[ASKED] = asked
    return scope
