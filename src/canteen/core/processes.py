"""Whether a process is still there."""

import os


def lives(pid: int) -> bool:
    """Whether this machine has a process of that id, whoever it belongs to."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
