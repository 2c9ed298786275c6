"""The gateway's side of the program that sends spans: starts it, writes to it, ends it."""

import asyncio
import logging
import sys
from contextlib import suppress

from canteen.api.spans import Traced
from canteen.api.streaming import json_bytes

logger = logging.getLogger(__name__)

# So much may wait for the program to read it; of what comes then nothing is told.
MOST_WAITING_BYTES = 1 << 20
AGAIN_AFTER_S = 5.0
END_WITHIN_S = 3.0
# So long a request may wait for others that are told of with it: to wake the program for each of
# them would take both processes longer than to write and read it.
TOGETHER_S = 0.05


class Sender:
    """Sends what it is told of to a collector, as far as that keeps up: an answer never waits."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._lines: list[bytes] = []

    def start(self) -> None:
        """Start the program, and again whenever it ends."""
        self._keeping = asyncio.ensure_future(self._keep())

    def tell(self, traced: Traced) -> None:
        """Have a request told of, soon, if there is room for it."""
        if not self._lines:
            asyncio.get_running_loop().call_later(TOGETHER_S, self._write)
        self._lines.append(json_bytes(traced) + b"\n")

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        pipe = self._process.stdin if self._process is not None else None
        if pipe is None or pipe.transport.is_closing():
            return
        if pipe.transport.get_write_buffer_size() < MOST_WAITING_BYTES:
            pipe.writelines(lines)

    async def close(self) -> None:
        """Have it send what it was told, if that is soon done."""
        if self._keeping is None:
            return
        self._keeping.cancel()
        with suppress(asyncio.CancelledError):
            await self._keeping
        self._write()
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), END_WITHIN_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _keep(self) -> None:
        while True:
            try:
                await self._run()
            except OSError as error:
                logger.warning("traces cannot be sent now: %s", error.strerror)
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _run(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "canteen.api.spans",
            self._url,
            stdin=asyncio.subprocess.PIPE,
            # Ctrl-C in a terminal is for the gateway to handle.
            start_new_session=True,
        )
        status = await self._process.wait()
        logger.warning("the program that sends traces ended with %s; starting it again", status)
