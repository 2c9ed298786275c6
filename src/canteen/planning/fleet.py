"""How many machines a load takes, which are the cheapest, and what one shared service saves."""

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from canteen.core.errors import InvalidRequest
from canteen.core.units import Quantity, exact
from canteen.planning import roofline
from canteen.planning.roofline import Host, Prediction, Reading


@dataclass(frozen=True, slots=True)
class Load:
    """Requests that come all alike. The limits, in s, are on medians without a queue; None is no
    limit. `utilization` is the share of full load that a replica is meant to reach."""

    requests_per_s: float
    prompt_tokens: int
    completion_tokens: int
    utilization: float
    ttft_s: float | None = None
    tpot_s: float | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """What can be rented or bought: a name, its price (USD/h), its devices, and how they run the
    model. `num_devices_used` of them make the `host` of one replica, which holds
    `max_sequences` at the load's lengths; `region` is where it is rented, if it is."""

    name: str
    price: Quantity
    num_devices: int
    num_devices_used: int
    host: Host
    max_sequences: int
    region: str = ""

    @property
    def num_replicas(self) -> int:
        """Replicas of the model that it holds."""
        return self.num_devices // self.num_devices_used


@dataclass(frozen=True, slots=True)
class Fleet:
    """Machines for a load. `utilization` is the share of full load that is reached, `price` is of
    all machines, in USD/h."""

    machine: Machine
    prediction: Prediction
    num_replicas: int
    num_machines: int
    utilization: Quantity
    price: Quantity

    @property
    def num_devices(self) -> int:
        """Devices in use."""
        return self.num_replicas * self.machine.num_devices_used


@dataclass(frozen=True, slots=True)
class Unfit:
    """A machine that cannot carry a load, and why."""

    machine: Machine
    reason: str


@dataclass(frozen=True, slots=True)
class Colocation:
    """The same load on copies of the model inside each application's replica, and on one service
    that they share."""

    inside: Fleet
    shared: Fleet

    @property
    def price_ratio(self) -> float:
        """How many times the shared service's price the copies cost."""
        return self.inside.price.central / self.shared.price.central


def fleet(reading: Reading, machine: Machine, load: Load) -> Fleet | Unfit:
    """The machines of a kind that carry a load, with the largest batch that the limits and the
    memory allow."""
    reason = _unfit(reading, machine, load)
    if reason:
        return Unfit(machine, reason)
    return _sized(reading, machine, load, 1)


def cheapest(
    reading: Reading, machines: Iterable[Machine], load: Load
) -> tuple[list[Fleet], list[Unfit]]:
    """Fleets of each kind of machine, the cheapest first, and the machines that cannot."""
    found = [fleet(reading, machine, load) for machine in machines]
    fit = [one for one in found if isinstance(one, Fleet)]
    return (
        sorted(fit, key=lambda one: (one.price.central, one.num_machines, one.machine.name)),
        [one for one in found if isinstance(one, Unfit)],
    )


def colocate(reading: Reading, machine: Machine, load: Load, num_applications: int) -> Colocation:
    """What `num_applications` replicas of an application take if each holds the model, against
    one service for all. Raises InvalidRequest where the machine cannot carry the load."""
    reason = _unfit(reading, machine, load)
    if reason:
        raise InvalidRequest(f"{machine.name} cannot serve this: {reason}", param="colocate")
    return Colocation(
        inside=_sized(reading, machine, load, num_applications),
        shared=_sized(reading, machine, load, 1),
    )


def _sized(reading: Reading, machine: Machine, load: Load, num_applications: int) -> Fleet:
    """Each application takes its own replicas for its part of the load, one at least."""
    batch = _largest_batch(reading, machine, load)
    prediction = roofline.predict(
        reading, machine.host, load.prompt_tokens, load.completion_tokens, batch
    )
    busy = prediction.device_time.to("s").central * load.requests_per_s / load.utilization
    num_replicas = num_applications * max(1, math.ceil(busy / num_applications))
    num_machines = math.ceil(num_replicas / machine.num_replicas)
    return Fleet(
        machine,
        prediction,
        num_replicas,
        num_machines,
        (prediction.device_time * exact(load.requests_per_s / num_replicas, "1/s")).to("1"),
        machine.price * num_machines,
    )


def _unfit(reading: Reading, machine: Machine, load: Load) -> str:
    """Why not one request of the load can be served within its limits; empty where it can."""
    if machine.num_replicas < 1 or machine.max_sequences < 1:
        return "the model and one sequence do not fit its memory"
    alone = roofline.predict(reading, machine.host, load.prompt_tokens, load.completion_tokens)
    for name, took, limit in (("TTFT", alone.ttft, load.ttft_s), ("TPOT", alone.tpot, load.tpot_s)):
        if limit is not None and took.central > limit:
            return f"a request alone has a {name} of {took.central:.3g} s, over {limit:g} s"
    return ""


def _largest_batch(reading: Reading, machine: Machine, load: Load) -> int:
    if load.tpot_s is None:
        return machine.max_sequences
    context = load.prompt_tokens + load.completion_tokens / 2
    return bisect_right(
        range(1, machine.max_sequences + 1),
        load.tpot_s,
        key=lambda batch: (
            roofline.duration(roofline.decode_step(reading, batch, context), machine.host).central
        ),
    )
