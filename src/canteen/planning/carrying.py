"""What a place carries of a load that comes at random: how busy it is, how long requests take."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from canteen.core.units import Quantity, exact
from canteen.planning.roofline import Prediction

# What is further from the middle than this share of all arrivals is left out.
_NEGLIGIBLE = 1e-9
# A place that is so nearly full waits without end.
_NEARLY_FULL = 0.999


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds that half of the requests stay below, and 95 of 100."""

    p50_s: float
    p95_s: float


@dataclass(frozen=True, slots=True)
class Carried:
    """A load on one place: `utilization` is the share of all that it can do, and above 1 it falls
    behind. Then, or nearly then, there is no time that requests take."""

    requests_per_s: float
    utilization: Quantity
    ttft: Latency | None
    e2e: Latency | None


def most_per_s(prediction: Prediction) -> Quantity:
    """Requests/s that a place does in batches like this one."""
    return exact(1.0) / prediction.device_time


def carry(requests_per_s: float, completion: int, alone: Prediction, full: Prediction) -> Carried:
    """Requests that come at random, `requests_per_s` on average, to a place where one alone goes
    as in `alone`, and as many at once as it holds as in `full`.

    A chain of births and deaths: requests that are there share the place, those beyond a full
    batch wait in line, and who comes takes as long as with those that it finds. Medians of the
    roofline only; times vary by what comes together, not by what is not known of the place.
    """
    utilization = (full.device_time * exact(requests_per_s, "1/s")).to("1")
    if utilization.central >= _NEARLY_FULL:
        return Carried(requests_per_s, utilization, None, None)
    shared = _Shared.of(completion, alone, full)
    found = list(_found(requests_per_s, shared))
    total = sum(found)
    cumulative = [so_far / total for so_far in accumulate(found)]
    half, most = (_first(cumulative, share) for share in (0.50, 0.95))
    return Carried(
        requests_per_s,
        utilization,
        Latency(shared.wait_s(half) + shared.ttft_s, shared.wait_s(most) + shared.ttft_s),
        Latency(shared.e2e_s(half), shared.e2e_s(most)),
    )


@dataclass(frozen=True, slots=True)
class _Shared:
    """A place of so many places; with `n` in it each takes `fixed_s + n * per_sequence_s`."""

    places: int
    ttft_s: float
    fixed_s: float
    per_sequence_s: float

    @classmethod
    def of(cls, completion: int, alone: Prediction, full: Prediction) -> "_Shared":
        """The line through both. Each that is there stops to read the prompt of each other."""
        ttft_s, one_s = alone.ttft.to("s").central, alone.tpot.to("s").central
        most_s = full.tpot.to("s").central
        slope_s = (most_s - one_s) / max(1, full.batch - 1)
        return cls(
            full.batch,
            ttft_s,
            completion * (one_s - slope_s),
            completion * slope_s + ttft_s,
        )

    def taken_s(self, num: int) -> float:
        """By each of so many that are in it."""
        return self.fixed_s + num * self.per_sequence_s

    def done_per_s(self, num: int) -> float:
        """Requests that end, while so many are there or in line."""
        inside = min(num, self.places)
        return inside / self.taken_s(inside)

    def wait_s(self, found: int) -> float:
        """In line, by who finds so many."""
        behind = max(0, found + 1 - self.places)
        return behind / self.done_per_s(self.places)

    def e2e_s(self, found: int) -> float:
        """From its coming to its end, by who finds so many."""
        return self.wait_s(found) + self.taken_s(min(found + 1, self.places))


def _found(requests_per_s: float, shared: _Shared) -> Iterator[float]:
    """How likely it is to find none, one, two and so on there, up to a common factor."""
    weight = highest = 1.0
    num = 0
    while weight > highest * _NEGLIGIBLE:
        yield weight
        num += 1
        weight *= requests_per_s / shared.done_per_s(num)
        highest = max(highest, weight)


def _first(cumulative: list[float], share: float) -> int:
    return next(num for num, so_far in enumerate(cumulative) if so_far >= share)
