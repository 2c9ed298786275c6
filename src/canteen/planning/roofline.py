"""Time and energy of a model on devices by roofline: bytes over bandwidth, FLOPs over peak.

Formulas: docs/methodology/energy.md. Everything is a pure function of plain numbers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from canteen.core.errors import InvalidRequest
from canteen.core.units import Boundary, Quantity, exact, total
from canteen.factors.table import load


@dataclass(frozen=True, slots=True)
class Attention:
    """Layers that see the same context. `flops_per_pair` is of one token with one token of its
    context, `kv_bytes_per_token` of one token in the cache; both of all these layers together.
    `window` is how far they see; None without limit.
    """

    flops_per_pair: float
    kv_bytes_per_token: float
    window: int | None = None

    def seen(self, context: float) -> float:
        """Tokens of a context that a token attends to."""
        return context if self.window is None else min(context, self.window)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model costs its devices to run: plain numbers, whatever they come from.

    `shared_bytes` are weights that each step reads (all but the input embedding and the routed
    experts), `expert_bytes` those of all routed experts, of which a token uses `expert_share`.
    """

    num_active_parameters: float
    shared_bytes: float
    attention: tuple[Attention, ...]
    expert_bytes: float = 0.0
    expert_share: float = 1.0

    def weights_read(self, batch: int) -> float:
        """Bytes of weights that a decode step of `batch` sequences reads, if each token draws its
        experts by chance."""
        return self.shared_bytes + self.expert_bytes * (1 - (1 - self.expert_share) ** batch)

    def kv_read(self, context: float) -> float:
        """Bytes of cache that the next token of a sequence reads."""
        return math.fsum(one.kv_bytes_per_token * one.seen(context) for one in self.attention)

    def token_flops(self, context: float) -> float:
        """FLOPs of one token at a context."""
        return 2 * self.num_active_parameters + math.fsum(
            one.flops_per_pair * one.seen(context) for one in self.attention
        )

    def prompt_flops(self, tokens: int, cached: int = 0) -> float:
        """FLOPs of a prompt; its first `cached` tokens are in the cache and cost nothing."""
        return 2 * self.num_active_parameters * (tokens - cached) + math.fsum(
            one.flops_per_pair * (_pairs(tokens, one.window) - _pairs(cached, one.window))
            for one in self.attention
        )


@dataclass(frozen=True, slots=True)
class Constants:
    """What ties a roofline to real devices: a prior, or what `canteen calibrate` fitted to a host.

    Shares of the bandwidth, of the peak and of the maximal power that are reached, the seconds
    that a step takes whatever it does, and what the energy so predicted is multiplied by. `power`
    is what the devices draw at work, where that was measured.
    """

    bandwidth_share: Quantity
    flops_share: Quantity
    power_share: Quantity
    step_s: Quantity
    energy_bias: Quantity
    power: Quantity | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """Devices that run one copy of a model together: the sums of their bandwidths, of their peaks
    in the type computed in, and of their maximal powers. `plug_factor` is what their server draws
    at its plug over what they do."""

    bandwidth: Quantity
    peak: Quantity
    power_max: Quantity
    plug_factor: Quantity
    constants: Constants

    @property
    def power(self) -> Quantity:
        """What the devices draw at work: as it was measured, else a share of the most."""
        measured = self.constants.power
        return self.power_max * self.constants.power_share if measured is None else measured


@dataclass(frozen=True, slots=True)
class Demand:
    """Bytes to read, FLOPs to do and steps to take, one after another. Demands add up."""

    read_bytes: float = 0.0
    flops: float = 0.0
    num_steps: float = 0.0

    def __add__(self, other: "Demand") -> "Demand":
        """Of both."""
        return Demand(
            self.read_bytes + other.read_bytes,
            self.flops + other.flops,
            self.num_steps + other.num_steps,
        )

    def __mul__(self, times: float) -> "Demand":
        """Of so many times the same."""
        return Demand(self.read_bytes * times, self.flops * times, self.num_steps * times)


@dataclass(frozen=True, slots=True)
class Prediction:
    """How a host serves requests alike, `batch` of them at once.

    `ttft` and `tpot` in s, without a queue; speeds in token/s, decoding of the whole batch;
    `device_time` is of all devices together for one request, in s. `energy` of one, in J, is the
    whole server's; prefill and decode share their power, so it is no sum of two estimates.
    """

    batch: int
    ttft: Quantity
    tpot: Quantity
    prefill_speed: Quantity
    decode_speed: Quantity
    device_time: Quantity
    energy: Quantity


def prior(device_name: str, *, has_experts: bool) -> Constants:
    """The constants of devices that nobody calibrated, from factors/roofline.toml."""
    known = load("roofline").quantities()
    kind = "experts" if has_experts else "B200" if "B200" in device_name.upper() else "dense"
    return Constants(
        bandwidth_share=known["share of bandwidth"],
        flops_share=known["inference MFU"],
        power_share=known["share of power"],
        step_s=exact(0.0, "s"),
        energy_bias=known[f"energy bias, {kind}"],
    )


def fitting(device_name: str, calibrated: Constants | None, *, has_experts: bool) -> Constants:
    """The constants of devices for a model: those of a calibration, else the prior ones. Hosts are
    calibrated with dense models, so experts keep the bias that was measured of experts."""
    assumed = prior(device_name, has_experts=has_experts)
    if calibrated is None:
        return assumed
    bias = assumed.energy_bias if has_experts else calibrated.energy_bias
    return replace(calibrated, energy_bias=bias)


def peak_of(peaks: Mapping[str, Quantity], dtype: str) -> Quantity:
    """The peak in the type that weights of `dtype` are computed in: its own where the device has
    one, else 16 bits, else 32. Raises InvalidRequest for a device that has none of them."""
    for name in (dtype, "bf16", "fp16", "fp32"):
        if name in peaks:
            return peaks[name]
    raise InvalidRequest(
        f"no peak of this device is known for {dtype}; known are {', '.join(peaks) or 'none'}",
        param="device",
    )


def prefill(reading: Reading, host: Host, tokens: int, cached: int = 0) -> Demand:
    """Of reading a prompt: its FLOPs or, where that takes longer, all weights once."""
    weights = Demand(reading.shared_bytes + reading.expert_bytes, num_steps=1)
    compute = Demand(flops=reading.prompt_flops(tokens, cached), num_steps=1)
    return max(weights, compute, key=lambda demand: duration(demand, host).central)


def decode_step(reading: Reading, batch: int, context: float) -> Demand:
    """Of one more token for each of `batch` sequences of that context."""
    return Demand(
        reading.weights_read(batch) + batch * reading.kv_read(context),
        batch * reading.token_flops(context),
        1,
    )


def duration(demand: Demand, host: Host) -> Quantity:
    """Seconds that a demand takes; reading and computing one after the other."""
    constants = host.constants
    reading = exact(demand.read_bytes, "B") / (host.bandwidth * constants.bandwidth_share)
    computing = exact(demand.flops, "FLOP") / (host.peak * constants.flops_share)
    parts = (reading.to("s"), computing.to("s"), constants.step_s * demand.num_steps)
    return total(parts)


def energy(demand: Demand, host: Host) -> Quantity:
    """Joules of the whole server at its plug.

    The bias was measured against predictions from the medians, so the width of the time is in it
    and not counted again.
    """
    power = host.power * host.constants.energy_bias * host.plug_factor
    joules = (power * _median(duration(demand, host))).to("J")
    return joules.bounded(Boundary(energy="it", time="active"))


def predict(
    reading: Reading, host: Host, prompt: int, completion: int, batch: int = 1
) -> Prediction:
    """How the host serves requests of these lengths, `batch` at once."""
    first, rest = prefill(reading, host, prompt), _decode(reading, prompt, completion, batch)
    ttft = duration(first, host)
    tpot = duration(decode_step(reading, batch, prompt + completion / 2), host)
    return Prediction(
        batch=batch,
        ttft=ttft,
        tpot=tpot,
        prefill_speed=exact(prompt, "token") / ttft,
        decode_speed=exact(batch, "token") / tpot,
        device_time=duration(first + rest, host),
        energy=energy(first + rest, host),
    )


def _decode(reading: Reading, prompt: int, completion: int, batch: int) -> Demand:
    # A cache that grows by a token a step is on average half grown.
    return decode_step(reading, batch, prompt + completion / 2) * (completion / batch)


def _pairs(tokens: int, window: int | None) -> float:
    """Pairs of a token with one of its context in a causal prompt."""
    within = tokens if window is None else min(tokens, window)
    return within**2 / 2 + (tokens - within) * within


def _median(quantity: Quantity) -> Quantity:
    """The median alone, as if it were exact."""
    inputs = tuple(replace(one, variance=0.0) for one in quantity.inputs)
    return replace(quantity, low=quantity.central, high=quantity.central, inputs=inputs)
