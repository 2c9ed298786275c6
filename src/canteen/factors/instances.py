"""Machines for rent, and their prices by region and day."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from canteen.core.errors import InvalidRequest
from canteen.core.units import Quantity
from canteen.factors.hardware import Device, device
from canteen.factors.places import operator_of, regions_of
from canteen.factors.table import Row, find, load

# Where machines are rented unless a region is given: of each cloud one, if it has a price there.
USUAL_REGIONS: Mapping[str, str] = {
    "aws": "us-east-1",
    "google": "us-central1",
    "microsoft": "eastus",
}


@dataclass(frozen=True, slots=True)
class Instance:
    """A machine for rent. `device` is the name of its accelerators or, where it has none, of the
    host that it is a share of; then it is one device. `unpriced` says why no price is known."""

    name: str
    provider: str
    device: str
    num_devices: int
    vcpus: int
    memory: Quantity
    unpriced: str = ""

    @property
    def hardware(self) -> Device:
        """One of its devices."""
        kind = device(self.device)
        return kind if kind.kind == "gpu" else kind.part(self.vcpus / kind.num_threads, self.memory)

    @property
    def model_memory(self) -> Quantity:
        """What models can be in: the memory of its devices together."""
        memory = self.hardware.memory
        assert memory is not None
        return memory * self.num_devices


def instance(name: str) -> Instance:
    """The instance of a name, whatever its case; raises InvalidRequest with the nearest names."""
    known = instances()
    return known[find(name, known, "instance", "instance")]


@cache
def instances() -> Mapping[str, Instance]:
    """All known instances by name."""
    return {row.name: _instance(row) for row in load("instances").rows}


def region_for(machine: Instance, asked: str) -> str:
    """Where it is rented: where it is asked for, else in its cloud's usual region, else in the
    first one that a price is known of.

    Raises InvalidRequest for a region of another cloud.
    """
    owner = operator_of(asked)
    if owner and owner != machine.provider:
        raise InvalidRequest(
            f"{machine.name} is rented from {machine.provider}, which has no region '{asked}'; its "
            f"regions are {', '.join(regions_of(machine.provider))}",
            param="region",
        )
    return asked or _usual_region(machine)


def price(machine: Instance, region: str, on: datetime.date) -> Quantity:
    """USD/h on demand, for Linux. Raises InvalidRequest for a region or day without a price."""
    if machine.unpriced:
        raise InvalidRequest(
            f"no price of {machine.name} is known: {machine.unpriced}; give price_usd_per_h",
            param="instance",
        )
    rows = [row for row in load("prices").rows if row.name == machine.name]
    here = [row for row in rows if row.text("region") == region]
    if not here:
        known = sorted({row.text("region") for row in rows})
        raise InvalidRequest(
            f"no price of {machine.name} in '{region}' is known; known are "
            f"{', '.join(known) or 'none'}; give price_usd_per_h",
            param="region",
        )
    for row in here:
        if _is_valid(row, on):
            return row.quantity("price", "D")
    raise InvalidRequest(
        f"no price of {machine.name} in {region} on {on} is known; known are those "
        f"{' and '.join(map(_days, here))}; give another day or price_usd_per_h",
        param="as_of",
    )


def _usual_region(machine: Instance) -> str:
    usual = USUAL_REGIONS[machine.provider]
    priced = [row.text("region") for row in load("prices").rows if row.name == machine.name]
    return usual if usual in priced or not priced else priced[0]


def _days(row: Row) -> str:
    since, until = row.date("valid_from"), row.date("valid_to")
    return f"from {since} to {until}" if until else f"from {since}"


def _is_valid(row: Row, on: datetime.date) -> bool:
    since, until = row.date("valid_from"), row.date("valid_to")
    return (since is None or since <= on) and (until is None or on <= until)


def _instance(row: Row) -> Instance:
    return Instance(
        row.name,
        row.text("provider"),
        row.text("device"),
        row.count("num_devices"),
        row.count("vcpus"),
        row.quantity("memory"),
        str(row.fields.get("unpriced", "")),
    )
