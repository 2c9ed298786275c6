"""Keeps the fronts alive: each is started again when it ends, and ends with the core."""

import asyncio
import contextlib
import logging
import socket
import sys
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from canteen.api.body import LARGE_BYTES
from canteen.api.fronts.replaying import Replaying
from canteen.api.fronts.wire import End, Outbox, Welcome, read
from canteen.api.listening import END_WITHIN_S
from canteen.engines.keeping import kept_alive

if TYPE_CHECKING:
    from canteen.settings import Settings

logger = logging.getLogger(__name__)


class Fronts:
    """Processes that accept at one listening socket and have `app` answer here.

    They end with their end of a pair of sockets, so none outlives this process.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket, settings: "Settings") -> None:
        self._app = app
        self._listener = listener
        self._welcome = Welcome(
            home=str(settings.home),
            log_level=settings.log_level,
            # The audit has hashes of what was sent and received, to the byte.
            most_bytes=0 if settings.audit else min(settings.max_body_bytes, LARGE_BYTES),
        )
        self._are_ready = [asyncio.Event() for _ in range(settings.http_processes)]
        self._is_ending = asyncio.Event()
        self._keeping: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start them, and wait until all accept, or have been told to end before."""
        self._keeping = [asyncio.ensure_future(self._keep(one)) for one in self._are_ready]
        await asyncio.gather(*(one.wait() for one in self._are_ready))

    async def serve(self) -> None:
        """Until they are told to end, and have."""
        await asyncio.gather(*self._keeping)

    def end(self) -> None:
        """Have them end when all is sent."""
        self._is_ending.set()
        for one in self._are_ready:
            one.set()

    async def _keep(self, is_ready: asyncio.Event) -> None:
        async def live() -> bool:
            try:
                await self._live(is_ready)
            except OSError:
                logger.exception("a front could not be started")
            return True

        await kept_alive(live, _ended, self._is_ending)

    async def _live(self, is_ready: asyncio.Event) -> None:
        """One life of a process, from its start to its end."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            handed = (theirs.fileno(), self._listener.fileno())
            # A session of its own: Ctrl-C in a terminal is for the core to handle.
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "canteen.api.fronts.process",
                *map(str, handed),
                pass_fds=handed,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
            theirs.close()
            try:
                await self._speak(ours, is_ready)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _speak(self, line: socket.socket, is_ready: asyncio.Event) -> None:
        """Answer a front until it is gone, or has had its time to end."""
        reader, writer = await asyncio.open_unix_connection(sock=line)
        outbox = Outbox(writer)
        replaying = Replaying(self._app, outbox, is_ready)
        outbox.send(self._welcome)
        ending = asyncio.ensure_future(self._end(outbox))
        listening = asyncio.ensure_future(read(reader, replaying.handle))
        try:
            await asyncio.wait([ending, listening], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            listening.cancel()
            writer.close()
            await replaying.lost()

    async def _end(self, outbox: Outbox) -> None:
        """Done when a front that was told to end has had the time for it."""
        await self._is_ending.wait()
        outbox.send(End())
        # It takes as long itself, where a caller does not read.
        await asyncio.sleep(2 * END_WITHIN_S)


def _ended(pause_s: float) -> None:
    logger.error("a front ended; starting it again", extra={"pause_s": pause_s})
