"""Whether a process is still there, and still the same; and what it takes."""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
# Its place among what /proc/PID/stat tells after the program's name.
_START_TIME = 19
# A process of another machine that nobody has seen for so long is no more.
GONE_AFTER_S = 60.0
# How Linux numbers the clock of another process's processor time.
_CLOCK_SHIFT, _CLOCK_KIND = 3, 2


def lives(pid: int) -> bool:
    """Whether this machine has a process of that id, whoever it belongs to."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def born(pid: int) -> str:
    """What tells a process from a later one of its id; empty where the system does not say."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        _, _, told = (_PROC / str(pid) / "stat").read_text().rpartition(")")
    except OSError:
        return ""
    return f"{boot}/{told.split()[_START_TIME]}"


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have; none where the system
    does not say."""
    texts = [told.read_text() for told in _PROC.glob(f"{pid}/task/*/children")]
    children = [int(child) for text in texts for child in text.split()]
    return [*children, *(one for child in children for one in descendants(child))]


def cpu_s(pid: int) -> float:
    """All processor time of another process so far; 0 where it is gone."""
    try:
        return time.clock_gettime(~pid << _CLOCK_SHIFT | _CLOCK_KIND)
    except OSError:
        return 0.0


def resident_bytes(pid: int) -> int:
    """The memory of a process; 0 where it is gone, or the system does not say."""
    try:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def here(host: str = "") -> dict[str, Any]:
    """What tells this process from all others, as the columns of a row that it owns."""
    pid = os.getpid()
    return {"host": host or socket.gethostname(), "pid": pid, "born": born(pid)}


def is_gone(row: Mapping[str, Any], host: str, now_s: float) -> bool:
    """Whether the owner of a row (`host`, `pid`, `born`, and when it was `seen_s`) is no more, as
    a process of `host` sees it; one that is stopped still is."""
    if row["host"] != host:
        return bool((row["seen_s"] or 0.0) < now_s - GONE_AFTER_S)
    known = {row["born"], born(row["pid"])} - {""}
    return not lives(row["pid"]) or len(known) > 1
