"""A front: a process that speaks HTTP with callers and asks the core, for as long as that lives."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from pathlib import Path

from canteen.api.fronts.asking import Line
from canteen.api.fronts.translating import Translating
from canteen.api.fronts.wire import Outbox, Ready, read
from canteen.api.listening import BACKLOG, Server, server
from canteen.core.errors import Overloaded
from canteen.runtime.catalog import Catalog


def main() -> None:
    """Serve at the listening socket, asking the core over the line; both are open already, and
    named by their numbers."""
    # The core says when it is time to go.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line, listener = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    listener.setblocking(False)
    asyncio.run(_serve(line, listener))


async def _serve(line: socket.socket, listener: socket.socket) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=line)
    core = Line(Outbox(writer))
    hearing = asyncio.ensure_future(_hear(reader, core))
    try:
        welcome = await core.welcome
    except Overloaded:
        # The core has gone before it had said anything.
        return
    logging.basicConfig(level=welcome.log_level, stream=sys.stderr)
    app = Translating(core, Catalog(Path(welcome.home)), welcome.most_bytes)
    http = server(app)
    # One at a time, so that others get some too: whoever has least to do is there first.
    http.config.backlog = 1

    def accepting() -> None:
        listener.listen(BACKLOG)
        core.send(Ready())

    http.on_started = accepting
    ending = asyncio.ensure_future(_until_told(core, http))
    # What is there now stays, and need not be looked through.
    gc.collect()
    gc.freeze()
    await http.serve(sockets=[listener])
    hearing.cancel()
    ending.cancel()


async def _hear(reader: asyncio.StreamReader, core: Line) -> None:
    try:
        await read(reader, core.handle)
    finally:
        core.lost()


async def _until_told(core: Line, http: Server) -> None:
    await core.is_ending.wait()
    http.should_exit = True


if __name__ == "__main__":
    main()
