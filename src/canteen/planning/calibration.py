"""What measuring on this host says of it: constants of the roofline in place of the priors."""

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from canteen.core.errors import InvalidRequest
from canteen.core.units import Input, Quantity, exact, sourced
from canteen.factors.hardware import Device
from canteen.factors.site import meter_to_plug
from canteen.planning.roofline import Constants, Demand, prior

# In CANTEEN_HOME.
FILE = "calibration.json"
# No fit to a few points is better than this, however well it goes through them.
LEAST_ERROR = 0.05


@dataclass(frozen=True, slots=True)
class Point:
    """A measured demand: what was read and computed, in how many steps, in how many seconds."""

    name: str
    read_bytes: float
    flops: float
    num_steps: float
    seconds: float

    @classmethod
    def of(cls, name: str, demand: Demand, seconds: float) -> "Point":
        """A demand of the roofline, measured."""
        return cls(name, demand.read_bytes, demand.flops, demand.num_steps, seconds)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was fitted. `bytes_per_s` and `flops_per_s` are what steps really reach, None where the
    points do not tell it; `error` is the relative root mean square of what the fit leaves.

    `copied_bytes_per_s` is the bandwidth of memory by a triad; `power_w` what a counter told
    while all threads decoded, None where there is no counter.
    """

    host: str
    model: str
    made_on: str
    bytes_per_s: float | None
    flops_per_s: float | None
    step_s: float
    error: float
    copied_bytes_per_s: float
    power_w: float | None
    points: tuple[Point, ...]


def fit(points: Sequence[Point]) -> tuple[float | None, float | None, float, float]:
    """Bytes/s, FLOP/s, seconds a step and the error, by least squares of relative errors.

    `seconds = bytes / BW + FLOPs / peak + t0 · steps`, nothing negative: of all subsets of the
    three terms that come out positive, the one that leaves least. Raises InvalidRequest for
    points that nothing fits.
    """
    import numpy as np

    rows = np.array([[one.read_bytes, one.flops, one.num_steps] for one in points])
    seconds = np.array([one.seconds for one in points])
    scaled = rows / seconds[:, None]
    best: tuple[float, np.ndarray] | None = None
    for number in (3, 2, 1):
        for chosen in itertools.combinations(range(3), number):
            columns = scaled[:, chosen]
            sizes = np.linalg.norm(columns, axis=0)
            if not np.all(sizes > 0):
                continue
            found, *_ = np.linalg.lstsq(columns / sizes, np.ones(len(points)), rcond=None)
            if np.any(found <= 0):
                continue
            terms = np.zeros(3)
            terms[list(chosen)] = found / sizes
            error = float(np.sqrt(np.mean((scaled @ terms - 1) ** 2)))
            # A further term must earn its place.
            if best is None or error < best[0] * 0.999:
                best = (error, terms)
    if best is None or not math.isfinite(best[0]):
        raise InvalidRequest("nothing fits what was measured; try again on a quieter machine")
    error, (per_byte, per_flop, step_s) = best
    rates = (float(1 / one) if one > 0 else None for one in (per_byte, per_flop))
    return *rates, float(step_s), error  # type: ignore[return-value]


def load(path: Path) -> Calibration | None:
    """What was stored, None where there is nothing that can be read."""
    try:
        told = json.loads(path.read_bytes())
        points = tuple(Point(**one) for one in told.pop("points"))
        return Calibration(**told, points=points)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def as_bytes(calibration: Calibration) -> bytes:
    """As it is stored."""
    return json.dumps(asdict(calibration), indent=1).encode()


def applied(device: Device, told: Calibration | None) -> tuple[Device, Constants | None]:
    """A host as it was measured; as it is assumed where it was not, or another one was.

    Its energy is no more biased than the fit is off: the prior's bias is of hosts that nobody
    measured. A counter counts the processor's package, so what it told goes to the plug.
    """
    if told is None or told.host != device.name:
        return device, None
    bandwidth = _measured(told, "memory bandwidth, triad", told.copied_bytes_per_s, "B/s")
    peaks = {name: exact(one.central, one.unit) for name, one in device.peak.items()}
    peak = next(iter(peaks.values())).to("FLOP/s").central
    constants = replace(
        prior(device.name, has_experts=False),
        energy_bias=_measured(told, "energy over what is predicted", 1.0, "1"),
    )
    if told.bytes_per_s is not None:
        share = _measured(told, "share of bandwidth", told.bytes_per_s / bandwidth.central, "1")
        constants = replace(constants, bandwidth_share=share)
    if told.flops_per_s is not None:
        constants = replace(
            constants, flops_share=_measured(told, "MFU", told.flops_per_s / peak, "1")
        )
    if told.step_s > 0:
        constants = replace(constants, step_s=_measured(told, "seconds a step", told.step_s, "s"))
    if told.power_w is not None:
        power = _measured(told, "power at work", told.power_w, "W") * meter_to_plug()
        constants = replace(constants, power=power)
    return replace(device, bandwidth=bandwidth, peak=peaks), constants


def _measured(told: Calibration, name: str, value: float, unit: str) -> Quantity:
    """A fitted constant; its interval is what the fit leaves, on both sides."""
    width = math.exp(1.645 * max(told.error, LEAST_ERROR))
    source = f"canteen calibrate on this host with {told.model}"
    low, high = value / width, value * width
    return sourced(
        Input(name, value, low, high, unit, source, told.made_on, "calibrated"), grade="B"
    )
