"""The machine this runs on, as a device: by what its processor tells of itself and by factors."""

import datetime
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from canteen.core.units import Input, Quantity, exact, sourced
from canteen.factors import instances
from canteen.factors.hardware import Device
from canteen.factors.table import Row, load

CPUINFO = Path("/proc/cpuinfo")
_UNKNOWN = "unknown"
# Where the processor does not tell its clock.
_USUAL_MHZ = 2500.0


@dataclass(frozen=True, slots=True)
class Processor:
    """What a processor tells: its name, its maker, its family, its clock, what it can."""

    name: str
    vendor: str
    family: str
    mhz: float
    num_threads: int
    threads_per_core: float
    flags: frozenset[str]


def processor(cpuinfo: Path = CPUINFO) -> Processor:
    """This machine's processor; one of unknown make where the system does not tell."""
    told = _first_block(cpuinfo)
    siblings, cores = int(told.get("siblings", 1)), int(told.get("cpu cores", 1))
    return Processor(
        name=told.get("model name", _UNKNOWN),
        vendor=told.get("vendor_id", ""),
        family=told.get("cpu family", ""),
        mhz=float(told.get("cpu MHz", _USUAL_MHZ)),
        num_threads=_num_threads(),
        threads_per_core=max(1.0, siblings / cores),
        flags=frozenset(told.get("flags", "").split()),
    )


def this_host(memory_bytes: int, kind: Processor) -> Device:
    """A processor and its memory as the device that models run on here."""
    num = kind.num_threads
    row = _power_row(kind)
    return Device(
        name=f"this host ({num} threads of {kind.name})",
        kind="cpu",
        memory=exact(memory_bytes, "B"),
        bandwidth=_unknown().quantity("bandwidth", "D") * num,
        peak=_peaks(kind),
        power_max=row.quantity("power_max") * num,
        power_idle=row.quantity("power_idle") * num,
        embodied=None,
        life=None,
        num_threads=num,
    )


def hourly_price(told_usd: float, rented: str, region: str) -> Quantity | None:
    """USD/h of this machine: what is set, else of the instance that it is set to be, else None.

    Raises InvalidRequest for an instance that is not known, or has no price in the region.
    """
    today = datetime.date.today()
    if told_usd:
        day = today.isoformat()
        name = "price of this machine"
        told = Input(name, told_usd, told_usd, told_usd, "USD/h", "a setting", day, "declared")
        return sourced(told, "D")
    if rented:
        machine = instances.instance(rented)
        return instances.price(machine, instances.region_for(machine, region), today)
    return None


def _peaks(kind: Processor) -> Mapping[str, Quantity]:
    """By the type computed in, of all threads: FLOPs a cycle times the clock."""
    per_thread = exact(kind.mhz * 1e6, "1/s") * (kind.num_threads / kind.threads_per_core)
    peaks: dict[str, Quantity] = {}
    for row in load("processors").rows:
        if "flops" in row.fields and (row.name in kind.flags or row.name == "any"):
            peaks.setdefault(row.text("dtype"), row.quantity("flops", "D") * per_thread)
    return peaks


def _power_row(kind: Processor) -> Row:
    for row in load("processors").rows:
        if row.fields.get("vendor") == kind.vendor and kind.family in row.fields["families"]:
            return row
    return _unknown()


def _unknown() -> Row:
    return next(row for row in load("processors").rows if row.name == _UNKNOWN)


def _num_threads() -> int:
    """Those that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _first_block(cpuinfo: Path) -> dict[str, str]:
    try:
        text = cpuinfo.read_text()
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}
