"""Devices made the host of a model, and instances for rent made machines for a load."""

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from canteen.core.errors import InvalidRequest
from canteen.core.units import Quantity, exact
from canteen.factors.hardware import Device
from canteen.factors.instances import Instance, instances, price, region_for
from canteen.factors.site import host_factor
from canteen.planning.fleet import Machine
from canteen.planning.roofline import Constants, Host, peak_of, prior


@dataclass(frozen=True, slots=True)
class Served:
    """What of a model decides where it can be served: the type it is computed in, whether it has
    experts, and how many sequences so many bytes of devices of a kind hold beside it."""

    dtype: str
    has_experts: bool
    max_sequences: Callable[[Device, int], int]


def host(kind: Device, num: int, dtype: str, constants: Constants) -> Host:
    """So many devices together, computing in the type that weights of `dtype` are computed in.

    Raises InvalidRequest for a device without a known peak.
    """
    return Host(
        kind.bandwidth * num,
        peak_of(kind.peak, dtype) * num,
        kind.power_max * num,
        # The power of a CPU is told at its server's plug.
        host_factor() if kind.kind == "gpu" else exact(1.0),
        constants,
    )


def machines(served: Served, region: str | None, on: datetime.date) -> Iterator[Machine]:
    """Instances that have a price in the region on that day, or, without one, where they are
    usually rented; the model on as few of their devices as hold it and one sequence, or on all."""
    for instance in instances().values():
        try:
            where = region_for(instance, region or "")
            paid = price(instance, where, on)
        except InvalidRequest:
            continue
        yield _machine(served, instance, where, paid)


def _machine(served: Served, instance: Instance, region: str, paid: Quantity) -> Machine:
    kind = instance.hardware
    memory_bytes = instance.model_memory.to("B").central / instance.num_devices
    num = 1
    while num < instance.num_devices and not served.max_sequences(kind, int(num * memory_bytes)):
        num *= 2
    constants = prior(kind.name, has_experts=served.has_experts)
    return Machine(
        instance.name,
        paid,
        instance.num_devices,
        num,
        host(kind, num, served.dtype, constants),
        served.max_sequences(kind, int(num * memory_bytes)),
        region,
    )
