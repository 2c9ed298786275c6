"""Whether a process is still there, and still the same."""

import os
from pathlib import Path

_PROC = Path("/proc")
# Its place among what /proc/PID/stat tells after the program's name.
_START_TIME = 19


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
