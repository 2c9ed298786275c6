"""What training takes: FLOPs, device-hours, calendar time, money and energy.

Formulas: docs/methodology/energy.md and money.md.
"""

from dataclasses import dataclass
from typing import Literal

from canteen.core.errors import InvalidRequest
from canteen.core.units import Boundary, Quantity, exact
from canteen.factors.site import host_factor
from canteen.factors.table import load
from canteen.planning.roofline import Reading

Method = Literal["full", "lora"]
# The factor of what training reaches of the peak, by kind of device.
MFU = {"gpu": "training MFU", "cpu": "training MFU, processor"}


@dataclass(frozen=True, slots=True)
class Training:
    """What a run takes. `device_time` (h) is of computing alone, for all devices together, and
    money (USD) and energy (of the whole servers) go with it; `calendar_time` (day) has restarts
    and evaluations."""

    flops: Quantity
    device_time: Quantity
    calendar_time: Quantity
    cost: Quantity
    energy: Quantity

    @property
    def gpu_years(self) -> Quantity:
        """Device time in years of 8,766 hours."""
        return self.device_time.to("year")


def training_flops(
    reading: Reading,
    num_tokens: int,
    sequence_length: int = 0,
    method: Method = "full",
    *,
    recomputes: bool = False,
) -> Quantity:
    """FLOPs of training on so many tokens in sequences of that length (0: attention left out).

    A pass back costs two forward, of which LoRA, whose base is frozen, needs one; full
    recomputation of the activations is one more forward. So 6, 4 and 8 times N for each token.
    """
    if num_tokens < 1 or sequence_length < 0:
        raise InvalidRequest("training needs a token at least", param="train_tokens")
    forward = 2 * reading.num_active_parameters
    if sequence_length:
        forward = reading.prompt_flops(sequence_length) / sequence_length
    passes = (3 if method == "full" else 2) + recomputes
    return exact(passes * forward * num_tokens, "FLOP")


@dataclass(frozen=True, slots=True)
class Devices:
    """What trains: how many, and of one its peak (FLOP/s), maximal power (W), price (USD/h),
    and what its part of the server draws over that. The shares are what training reaches of
    peak and power; `restarts` is calendar time over computing time."""

    num: int
    peak: Quantity
    power_max: Quantity
    price: Quantity
    flops_share: Quantity
    power_share: Quantity
    plug_factor: Quantity
    restarts: Quantity


def devices(
    num: int, peak: Quantity, power_max: Quantity, price: Quantity, share: str = MFU["gpu"]
) -> Devices:
    """Devices that train as well as runs did that were measured."""
    known = load("roofline").quantities()
    return Devices(
        num,
        peak,
        power_max,
        price,
        known[share],
        known["share of power"],
        host_factor(),
        known["calendar over computing time"],
    )


def train(flops: Quantity, on: Devices) -> Training:
    """The run on those devices. Raises InvalidRequest for none."""
    if on.num < 1:
        raise InvalidRequest("training needs a device at least", param="num_devices")
    device_time = (flops / (on.peak * on.flops_share)).to("h")
    return Training(
        flops=flops,
        device_time=device_time,
        calendar_time=(device_time * on.restarts / on.num).to("day"),
        cost=(device_time * on.price).to("USD"),
        energy=energy(device_time, on),
    )


def energy(device_time: Quantity, on: Devices) -> Quantity:
    """What the whole servers draw in so much time of their devices."""
    drawn = device_time * (on.power_max * on.power_share * on.plug_factor)
    return drawn.to("MWh").bounded(Boundary(energy="it", time="active"))
