"""uvicorn as it runs here: over h11, within bounds, and with its signals left to us."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from canteen.api.connections import LARGEST_HEAD_BYTES, Connection, most_connections

# Longer than the 60 s that connection pools of Java keep an idle connection for.
KEEP_ALIVE_S = 90
BACKLOG = 2048
END_WITHIN_S = 5.0


class Server(uvicorn.Server):
    """Leaves the signals to us: uvicorn's own handling closes the port at once. `on_started` is
    called when connections are accepted."""

    on_started: Callable[[], None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.on_started is not None:
            self.on_started()


def server(app: ASGIApp) -> Server:
    """What serves an application, over h11, since httptools loses the body of a request that offers
    h2c, as Java's do."""

    class Bounded(Connection):
        most = most_connections()

    return Server(
        uvicorn.Config(
            app,
            http=Bounded,
            ws="none",
            lifespan="off",
            loop="asyncio",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=int(END_WITHIN_S),
            h11_max_incomplete_event_size=LARGEST_HEAD_BYTES,
            backlog=BACKLOG,
        )
    )
