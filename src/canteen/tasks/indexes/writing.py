"""One writer at a time, over all processes; the kernel lets go when a writer dies."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from canteen.core.errors import Overloaded

FILE = "writing.lock"
LOOK_AGAIN_S = 0.02
# A large put takes seconds; the first build of the vectors' partitions, some more.
PATIENCE_S = 60.0


@asynccontextmanager
async def writing(folder: Path, patience_s: float = PATIENCE_S) -> AsyncIterator[None]:
    """Be the only writer of an index; raises Overloaded when others are for too long."""
    lock = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        await _take(lock, patience_s)
        yield
    finally:
        os.close(lock)


async def _take(lock: int, patience_s: float) -> None:
    try:
        async with asyncio.timeout(patience_s):
            # The holder may be another process, which sets no event here.
            while not _taken(lock):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_AGAIN_S)
    except TimeoutError:
        raise Overloaded(
            "the index is being written by others; try again later", retry_after_s=10
        ) from None


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
