"""A metric as sums over items, so that one definition gives its value and its resamples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a whole data set.

    `counters` has a row for each item, `(items, k)`; `value` makes figures `(...)` out of sums
    of rows `(..., k)`.
    """

    name: str
    counters: Array
    value: Callable[[Array], Array]
    is_higher_better: bool = True

    @property
    def total(self) -> float:
        """The figure over all items."""
        return float(self.value(self.counters.sum(axis=0)))


def mean(name: str, values: Sequence[float], *, is_higher_better: bool = True) -> Metric:
    """The mean of a figure that each item has."""
    return ratio(name, [(value, 1.0) for value in values], is_higher_better=is_higher_better)


def ratio(
    name: str,
    rows: Sequence[tuple[float, float]],
    *,
    of_nothing: float = 0.0,
    is_higher_better: bool = True,
) -> Metric:
    """What all items have of something, of what they could have."""
    return Metric(
        name,
        table(rows, 2),
        lambda sums: divide(sums[..., 0], sums[..., 1], of_nothing),
        is_higher_better,
    )


def precision(name: str, rows: Sequence[tuple[float, float, float]]) -> Metric:
    """Of rows `(right, given, wanted)`: the share of the given that is right; 1 if none was."""
    return Metric(name, table(rows, 3), lambda sums: divide(sums[..., 0], sums[..., 1], 1.0))


def recall(name: str, rows: Sequence[tuple[float, float, float]]) -> Metric:
    """Of rows `(right, given, wanted)`: the share of the wanted that was given."""
    return Metric(name, table(rows, 3), lambda sums: divide(sums[..., 0], sums[..., 2], 1.0))


def f_score(name: str, rows: Sequence[tuple[float, float, float]], beta: float = 1.0) -> Metric:
    """F-beta of rows `(right, given, wanted)`, summed over items first (micro average)."""
    weight = beta * beta

    def value(sums: Array) -> Array:
        right, given, wanted = (sums[..., place] for place in range(3))
        # Nothing wanted and nothing given is all right.
        return divide((1 + weight) * right, given + weight * wanted, 1.0)

    return Metric(name, table(rows, 3), value)


def table(rows: Sequence[Sequence[float]], width: int) -> Array:
    """The rows as an array, also where there are none."""
    return np.array(rows, np.float64).reshape(len(rows), width)


def divide(part: Array, whole: Array, of_nothing: float = 0.0) -> Array:
    """The quotient, and `of_nothing` where the whole is 0."""
    empty = whole == 0
    return np.where(empty, of_nothing, part / np.where(empty, 1.0, whole))
