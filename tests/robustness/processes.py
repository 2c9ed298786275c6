"""What the processes of a server hold: open files and memory, as the kernel counts them."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.serving import Server

SETTLE_WITHIN_S = 20.0
LOOK_EVERY_S = 0.05
# Allocators keep what they had, and 10 MB of prompt are over 100 MB of words. Whoever keeps one
# prompt has more.
MOST_GROWTH_BYTES = 150 << 20


@dataclass(frozen=True)
class Held:
    """What the gateway and its workers hold; `workers` are their process ids."""

    workers: frozenset[int]
    num_files: dict[int, int]
    resident_bytes: dict[int, int]


def held(server: Server) -> Held:
    """What is held now."""
    workers = frozenset(_children(server.process.pid))
    pids = (server.process.pid, *workers)
    return Held(
        workers,
        {pid: _num_files(pid) for pid in pids},
        {pid: _resident_bytes(pid) for pid in pids},
    )


def assert_untouched(server: Server, before: Held) -> None:
    """The same workers, and within a moment no more open files and no more memory than that."""
    deadline_s = time.monotonic() + SETTLE_WITHIN_S
    while _has_grown(now := held(server), before) and time.monotonic() < deadline_s:
        time.sleep(LOOK_EVERY_S)
    assert now.workers == before.workers
    assert _more_files(now, before) == {}
    for pid, size_bytes in now.resident_bytes.items():
        growth_bytes = size_bytes - before.resident_bytes[pid]
        assert growth_bytes < MOST_GROWTH_BYTES


def _has_grown(now: Held, before: Held) -> bool:
    """A worker answers before it has let go of what it was given."""
    sizes_bytes = now.resident_bytes.items()
    return bool(_more_files(now, before)) or any(
        size_bytes - before.resident_bytes.get(pid, 0) >= MOST_GROWTH_BYTES
        for pid, size_bytes in sizes_bytes
    )


def _more_files(now: Held, before: Held) -> dict[int, int]:
    """How many more files a process has open, where it has more."""
    more = {pid: number - before.num_files.get(pid, 0) for pid, number in now.num_files.items()}
    return {pid: number for pid, number in more.items() if number > 0}


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def _num_files(pid: int) -> int:
    """Open files, but for those of the database: while one connection to it stays open, SQLite
    keeps the descriptors of others for the next ones, as many as were ever open at once."""
    opened = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        # It may be closed by now.
        with suppress(FileNotFoundError):
            opened.append(os.readlink(descriptor))
    return sum(not path.endswith("/canteen.db") for path in opened)


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
