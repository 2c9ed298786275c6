"""A program run on a leash, with its output line by line."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

LONGEST_LINE_BYTES = 1 << 26
TAIL_BYTES = 8192
# What a running program is put in the books with, by its id.
Watch = Callable[[int], AbstractContextManager[None]]
FULL_DISK_WORDS = ("No space left on device", "File too large", "Disk quota exceeded")


@dataclass(frozen=True, slots=True)
class Child:
    """A running program; what it says on standard error goes to a file, from a byte on."""

    process: Process
    log: Path
    log_from_bytes: int

    async def lines(self) -> AsyncIterator[bytes]:
        """Its standard output, until it is over."""
        if self.process.stdout is not None:
            async for line in self.process.stdout:
                yield line
        await self.process.wait()

    async def wait(self, at_most_s: float) -> int | None:
        """Its exit status, or None while it runs."""
        with suppress(TimeoutError):
            return await asyncio.wait_for(self.process.wait(), at_most_s)
        return None

    def said(self) -> str:
        """The end of what it said on standard error."""
        told = self.log.read_bytes()[self.log_from_bytes :]
        return told[-TAIL_BYTES:].decode(errors="replace")

    @property
    def was_killed(self) -> bool:
        """Whether it was ended from outside, once it is over."""
        return self.process.returncode == -signal.SIGKILL

    def met_full_disk(self) -> bool:
        """Whether it complained about that."""
        said = self.said()
        return any(words in said for words in FULL_DISK_WORDS)


def unwatched(pid: int) -> AbstractContextManager[None]:
    """Nobody keeps books."""
    return nullcontext()


@asynccontextmanager
async def child(
    module: Sequence[str],
    folder: Path,
    lock_fd: int,
    *,
    is_read: bool = True,
    watch: Watch = unwatched,
) -> AsyncIterator[Child]:
    """Run a module with its arguments for the time of the block; it is killed at the end.

    `watch` is entered for that time. The program inherits the lock, so that nobody touches its
    files before it is really gone. What programs before it said stays in the folder's log.
    """
    log = folder / "log"
    log_fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    log_from_bytes = os.fstat(log_fd).st_size
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "canteen.runtime.leash", str(folder), *module),
            stdin=PIPE,
            stdout=PIPE if is_read else DEVNULL,
            stderr=log_fd,
            limit=LONGEST_LINE_BYTES,
            pass_fds=[lock_fd],
        )
    finally:
        os.close(log_fd)
    try:
        with watch(process.pid):
            yield Child(process, log, log_from_bytes)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
