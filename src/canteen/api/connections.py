"""What one connection may cost: how long a head may take, how many may be open, plain refusals."""

import asyncio
import resource

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from canteen.api.errors import HttpError, problem
from canteen.api.guard import SURPLUS
from canteen.api.streaming import json_bytes

LARGEST_HEAD_BYTES = 64 << 10
# Of the files this process may open, what it needs for itself: workers, models, the log.
OWN_FILES = 256
MOST_FILES = 65_536
# Beyond the limit so many more are told to come again; any more are closed.
MOST_REFUSED = 64


def most_connections() -> int:
    """How many may be open at once, after the limit on open files is raised as far as it goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(wanted - OWN_FILES, wanted // 2)


class Connection(H11Protocol):
    """uvicorn's, with bounds on what a client may hold and give nothing for.

    `most` is how many may be open; the requests of surplus ones are marked for the guard. A head
    must come within `head_within_s`, and so must the rest of a body that was answered before its
    end. Who reads nothing of an answer for `reader_patience_s` is cut off: a stream that waits
    for its reader holds a place in its model.
    """

    most = 1 << 30
    head_within_s = 30.0
    reader_patience_s = 60.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or close it where even refusing would be too much."""
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        if len(self.connections) > self.most + MOST_REFUSED:
            transport.abort()
            return
        if len(self.connections) > self.most:
            self.app = _surplus(self.app)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers with the connection."""
        self._unwatch()
        self._is_read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and see to it that what has begun ends in time."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """As uvicorn does, where all of the request has come; else wait for the rest of it."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """More is written than is read: see to it that some of it is."""
        super().pause_writing()
        self._await_reader(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """It was read."""
        super().resume_writing()
        self._is_read()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in our own shape: nobody knows whose path it was to be."""
        self._refuse(
            HttpError(
                400,
                "this is no valid HTTP/1.1 request, or its head is larger than "
                f"{LARGEST_HEAD_BYTES} bytes",
                code="invalid_http",
            )
        )

    def _await_reader(self, size_bytes: int) -> None:
        self._reading = self.loop.call_later(self.reader_patience_s, self._look, size_bytes)

    def _look(self, before_bytes: int) -> None:
        size_bytes = self.transport.get_write_buffer_size()
        if size_bytes < before_bytes:
            self._await_reader(size_bytes)
        else:
            self.transport.abort()

    def _is_read(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _watch(self) -> None:
        """Have a timer run exactly while a client holds the connection and asks for nothing;
        between requests uvicorn has its own, and a body under way is read with patience.
        """
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering or self.timeout_keep_alive_task or self.transport.is_closing():
            self._unwatch()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.head_within_s, self._give_up)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self.conn.trailing_data[0]:
            words = f"the head of the request took over {self.head_within_s:g} s; send it again"
            self._refuse(HttpError(408, words, code="head_stalled"))
        self.transport.close()

    def _refuse(self, error: HttpError) -> None:
        """Say so where nothing has been said yet, and close."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json_bytes(problem(error, error.status))
            headers = {
                "content-type": "application/problem+json",
                "content-length": str(len(body)),
                "connection": "close",
            }
            head = h11.Response(status_code=error.status, headers=[*headers.items()])
            for event in (head, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def _surplus(app: ASGIApp) -> ASGIApp:
    """The same application, told that the connection is one too many."""

    async def marked(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, SURPLUS: True}, receive, send)

    return marked
