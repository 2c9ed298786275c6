"""How sure a figure is: bootstrap intervals, and tests of two runs on the same items."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from canteen.core.errors import InvalidRequest
from canteen.lifecycle.evaluate.metrics import Array, Metric

NUM_SAMPLES = 1000
LEVEL = 0.95
# Resampled item numbers held at once: 16 MB of them.
_AT_ONCE = 1 << 21


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure, and the bounds within which 95 % of its resamples lie."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs by one metric; `difference` is `one - other`.

    `p_value` is how often a difference as large comes from runs that are alike.
    """

    metric: str
    one: float
    other: float
    difference: Interval
    p_value: float
    num_items: int
    is_higher_better: bool = True


def interval(metric: Metric, *, num_samples: int = NUM_SAMPLES, seed: int = 0) -> Interval:
    """The percentile bootstrap over items (Efron 1979); the same for the same seed."""
    if len(metric.counters) == 0:
        return Interval(metric.total, metric.total, metric.total)
    weights = _resamples(len(metric.counters), num_samples, seed)
    values = [metric.value(chunk @ metric.counters) for chunk in weights]
    return _bounded(metric.total, np.concatenate(values))


def compare(
    one: Metric, other: Metric, *, num_samples: int = NUM_SAMPLES, seed: int = 0
) -> Comparison:
    """A paired test of one metric of two runs, whose rows are of the same items.

    The interval is a paired bootstrap; the p-value is approximate randomization (Noreen 1989):
    the two answers to an item are swapped or not, by chance.
    """
    if one.counters.shape != other.counters.shape:
        raise InvalidRequest("the two runs have other items; evaluate both on the same ones")
    difference = one.total - other.total
    num_items = len(one.counters)
    if num_items == 0:
        nothing = Interval(difference, difference, difference)
        return Comparison(one.name, one.total, other.total, nothing, 1.0, 0, one.is_higher_better)
    resampled = [
        one.value(weights @ one.counters) - other.value(weights @ other.counters)
        for weights in _resamples(num_items, num_samples, seed)
    ]
    return Comparison(
        one.name,
        one.total,
        other.total,
        _bounded(difference, np.concatenate(resampled)),
        _p_value(one, other, num_samples, seed),
        num_items,
        one.is_higher_better,
    )


def _p_value(one: Metric, other: Metric, num_samples: int, seed: int) -> float:
    random = np.random.default_rng(seed)
    seen = abs(one.total - other.total)
    both = one.counters.sum(axis=0) + other.counters.sum(axis=0)
    as_large = 0
    for rows in _chunks(len(one.counters), num_samples):
        stays = random.integers(0, 2, (rows, len(one.counters))).astype(np.float64)
        first = stays @ one.counters + (1 - stays) @ other.counters
        swapped = np.abs(one.value(first) - other.value(both - first))
        # Sums in another order differ in their last bits.
        as_large += int((swapped >= seen - 1e-12).sum())
    return (as_large + 1) / (num_samples + 1)


def _resamples(num_items: int, num_samples: int, seed: int) -> Iterator[Array]:
    """How often each item was drawn: chunks `(samples, items)`, each row sums to `num_items`."""
    random = np.random.default_rng(seed)
    for rows in _chunks(num_items, num_samples):
        drawn = random.integers(0, num_items, (rows, num_items))
        drawn += np.arange(rows)[:, None] * num_items
        counts = np.bincount(drawn.ravel(), minlength=rows * num_items)
        yield counts.reshape(rows, num_items).astype(np.float64)


def _chunks(num_items: int, num_samples: int) -> Iterator[int]:
    step = max(1, _AT_ONCE // num_items)
    for start in range(0, num_samples, step):
        yield min(step, num_samples - start)


def _bounded(value: float, resampled: Array) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(value, float(low), float(high))
