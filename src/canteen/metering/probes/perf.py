"""The processors' energy counters again, as events of the kernel's perf subsystem."""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from canteen.core.footprint import Counted
from canteen.core.units import Quantity
from canteen.metering.probes.counter import MOST_W, Unavailable

ROOT = Path("/sys/bus/event_source/devices/power")

# perf_event_open(2): its number by machine, and the size of the first version of its attributes.
_SYSCALLS = {"x86_64": 298, "aarch64": 241}
_ATTR_BYTES = 64
_ANY_PROCESS = -1

# What reads an event's count, which never wraps; both raise OSError.
Count = Callable[[], int]
# Opens an event of a PMU's type and configuration on a processor.
Opener = Callable[[int, int, int], Count]


class Perf:
    """The packages and their memory, or the whole platform where that is all there is.

    Raises Unavailable at the start and in `read_uj`.
    """

    name = "perf"
    # The kernel adds up the registers, which are updated each millisecond.
    tick_s = 0.001

    def __init__(self, joule: Quantity, root: Path = ROOT, opener: Opener | None = None) -> None:
        self.joule = joule
        names = _counted(root / "events")
        if not names:
            raise Unavailable("absent", "the kernel shows no energy events")
        try:
            self._events = [
                event for name in names for event in _opened(root, name, opener or open_event)
            ]
        except OSError as exc:
            raise _unavailable(exc) from None
        self.most_w = MOST_W * len(self._events)
        self.boundary: Counted = "cpu" if "energy-pkg" in names else "platform"
        self.source = f"perf energy events: {', '.join(names)}"

    def read_uj(self) -> int:
        """The sum of the events since they were opened."""
        try:
            return sum(int(count() * scale_uj) for count, scale_uj in self._events)
        except OSError as exc:
            raise _unavailable(exc) from None


def _counted(events: Path) -> list[str]:
    there = [name for name in ("energy-pkg", "energy-ram") if (events / name).exists()]
    if "energy-pkg" in there:
        return there
    return ["energy-psys"] if (events / "energy-psys").exists() else []


def _opened(root: Path, name: str, opener: Opener) -> list[tuple[Count, float]]:
    """An event for each processor that the kernel names, which is one for each package, and
    the microjoules of its unit."""
    kind = int((root / "type").read_text())
    config = int((root / "events" / name).read_text().strip().removeprefix("event="), 16)
    scale_j = float((root / "events" / f"{name}.scale").read_text())
    cpus = (root / "cpumask").read_text().strip().split(",")
    return [(opener(kind, config, int(cpu)), 1e6 * scale_j) for cpu in cpus]


def open_event(kind: int, config: int, cpu: int) -> Count:
    """Count an event on one processor, whoever causes it; raises OSError."""
    number = _SYSCALLS.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, "no perf events on this machine")
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = struct.pack("=IIQ", kind, _ATTR_BYTES, config).ljust(_ATTR_BYTES, b"\0")
    close_on_exec = 8
    fd = libc.syscall(number, attributes, _ANY_PROCESS, cpu, -1, close_on_exec)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "the event cannot be opened")
    # Kept open for as long as the process lives.
    return lambda: int.from_bytes(os.read(fd, 8), sys.byteorder)


def _unavailable(exc: OSError) -> Unavailable:
    if exc.errno in (errno.EACCES, errno.EPERM):
        return Unavailable("forbidden", "energy events need CAP_PERFMON, or perf_event_paranoid 0")
    return Unavailable("absent", "the energy events cannot be opened")
