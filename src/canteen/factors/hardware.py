"""Devices that models run on: their memory, bandwidth, peaks and power."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from canteen.core.units import Quantity
from canteen.factors.table import Row, find, load

_TYPES = ("fp32", "fp16", "bf16", "fp8", "int8")


@dataclass(frozen=True, slots=True)
class Device:
    """A device by its data sheet. `peak` is dense, by the type that is computed in; a CPU is a
    whole host, whose memory is its machine's. Powers are of a GPU's board, or of a CPU's server
    at its plug. What nobody publishes is None.
    """

    name: str
    kind: Literal["gpu", "cpu"]
    memory: Quantity | None
    bandwidth: Quantity
    peak: Mapping[str, Quantity]
    power_max: Quantity
    power_idle: Quantity | None
    embodied: Quantity | None
    life: Quantity | None
    num_threads: int = 1

    def part(self, share: float, memory: Quantity) -> "Device":
        """A share of a host, as a virtual machine with that memory has it."""
        return replace(
            self,
            memory=memory,
            bandwidth=self.bandwidth * share,
            peak={name: one * share for name, one in self.peak.items()},
            power_max=self.power_max * share,
            power_idle=self.power_idle * share if self.power_idle else None,
            embodied=self.embodied * share if self.embodied else None,
        )


def device(name: str) -> Device:
    """The device of a name or alias, whatever its case.

    Raises InvalidRequest with the nearest names.
    """
    known = {
        one: row.name
        for row in load("hardware").rows
        for one in (row.name, *row.fields.get("aliases", ()))
    }
    return devices()[known[find(name, known, "device", "device")]]


@cache
def devices() -> Mapping[str, Device]:
    """All known devices by name."""
    return {row.name: _device(row) for row in load("hardware").rows}


def _device(row: Row) -> Device:
    known = {
        name: row.quantity(name) if name in row.fields else None
        for name in ("memory", "power_idle", "embodied", "life")
    }
    return Device(
        row.name,
        "gpu" if row.text("kind") == "gpu" else "cpu",
        known["memory"],
        row.quantity("bandwidth"),
        {name: row.quantity(name) for name in _TYPES if name in row.fields},
        row.quantity("power_max"),
        known["power_idle"],
        known["embodied"],
        known["life"],
        row.count("num_threads") if "num_threads" in row.fields else 1,
    )
