"""Whether texts are found as alike as people find them: Spearman's rank correlation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from canteen.lifecycle.evaluate.examples import Pair
from canteen.lifecycle.evaluate.metrics import Array, Metric, divide


@dataclass(frozen=True, slots=True)
class Record:
    """What people and what the model said of a pair."""

    id: str
    rating: float
    similarity: float


def record(example: Pair, outcome: float) -> Record:
    """Put one answer beside its gold."""
    return Record(example.id, example.rating, float(outcome))


def names(one: Record) -> set[str]:
    """Nothing: pairs are of no class."""
    return set()


def score(one: Record) -> float:
    """Less the farther the two are apart; scales differ, so it only orders."""
    return -abs(one.rating - one.similarity)


def metrics(records: Sequence[Record], _names: Sequence[str]) -> tuple[Metric, ...]:
    """The rank correlation."""
    given, wanted = [one.similarity for one in records], [one.rating for one in records]
    return (spearman("spearman", given, wanted),)


def spearman(name: str, given: Sequence[float], wanted: Sequence[float]) -> Metric:
    """Rank correlation. Resamples keep the ranks of the whole, which makes it sums over items."""
    first, second = _ranks(given), _ranks(wanted)
    ones = np.ones_like(first)
    counters = np.stack([ones, first, second, first**2, second**2, first * second], axis=1)
    return Metric(name, counters, _correlation)


def _correlation(sums: Array) -> Array:
    count, x, y, xx, yy, xy = (sums[..., place] for place in range(6))
    spread = np.sqrt(np.maximum(count * xx - x * x, 0) * np.maximum(count * yy - y * y, 0))
    return np.clip(divide(count * xy - x * y, spread), -1, 1)


def _ranks(values: Sequence[float]) -> Array:
    """Centred ranks, scaled to lie between -0.5 and 0.5; what is equal shares its mean rank."""
    _, places, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return (ranks[places] - (len(values) + 1) / 2) / max(len(values), 1)
