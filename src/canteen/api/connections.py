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
# From its first byte to its last; and for what is left of a body that was answered already.
HEAD_WITHIN_S = 30.0
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
    """uvicorn's, with bounds on what a client may hold without asking for anything.

    `most` is how many may be open; the requests of surplus ones are marked for the guard.
    """

    most = 1 << 30

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or close it where even refusing would be too much."""
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        if len(self.connections) > self.most + MOST_REFUSED:
            transport.abort()
            return
        if len(self.connections) > self.most:
            self.app = _surplus(self.app)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer with the connection."""
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and see to it that what has begun ends in time."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """As uvicorn does, where all of the request has come; else wait for the rest of it."""
        super().on_response_complete()
        self._watch()

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

    def _watch(self) -> None:
        """Have a timer run exactly while a client holds the connection and asks for nothing;
        between requests uvicorn has its own, and a body under way is read with patience.
        """
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering or self.timeout_keep_alive_task or self.transport.is_closing():
            self._unwatch()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_WITHIN_S, self._give_up)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self.conn.trailing_data[0]:
            words = f"no whole head of a request came within {HEAD_WITHIN_S:g} s; send it again"
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
