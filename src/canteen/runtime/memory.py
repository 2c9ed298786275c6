"""The memory of this machine that models may take."""

import os
from pathlib import Path

GB = 1_000_000_000
# The rest is for the gateway, for what else runs here, and for what a model takes at its peaks.
SHARE = 0.8
CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def budget_bytes(memory_gb: float) -> int:
    """The memory all models together may take: what is set, or a share of the machine's."""
    return int(memory_gb * GB) if memory_gb else int(machine_bytes() * SHARE)


def machine_bytes() -> int:
    """The machine's memory, or what the control group (a container's limit) leaves of it."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *cgroup_limits(CGROUPS, MEMBERSHIP)])


def cgroup_limits(cgroups: Path, membership: Path) -> list[int]:
    """The limits on this process's groups and on those they are in; none where there are none.

    A line of `membership` is `id:controllers:path`: with `memory` among the controllers it is
    version 1, with none it is version 2. In a container the path may be that of the host, and
    its own limit is then found at the root.
    """
    limits = []
    for line in _lines(membership):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = cgroups, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = cgroups / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = Path(path.lstrip("/"))
        texts = [_lines(root / part / name) for part in (group, *group.parents)]
        limits += [int(text) for lines in texts for text in lines if text.isdecimal()]
    return limits


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
