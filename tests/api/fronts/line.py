"""A front and a core in one process, and the line between them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp

from canteen.api.fronts.asking import Line
from canteen.api.fronts.replaying import Replaying
from canteen.api.fronts.wire import Outbox, read


@asynccontextmanager
async def lines(app: ASGIApp) -> AsyncIterator[tuple[Line, Replaying]]:
    """A front's end and the core's."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    other_reader, other_writer = await asyncio.open_unix_connection(sock=theirs)
    line = Line(Outbox(writer))
    replaying = Replaying(app, Outbox(other_writer), asyncio.Event())
    tasks = [
        asyncio.ensure_future(read(reader, line.handle)),
        asyncio.ensure_future(read(other_reader, replaying.handle)),
    ]
    try:
        yield line, replaying
    finally:
        await replaying.lost()
        for end in (writer, other_writer):
            end.close()
            await end.wait_closed()
        await asyncio.gather(*tasks)
