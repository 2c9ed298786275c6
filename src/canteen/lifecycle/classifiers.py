"""What classifiers learn from labelled examples: temperatures and biases, or linear heads.

Temperature scaling: Guo et al., arXiv 1706.04599. What is reported is of examples that were held
back, each in one of five folds, so that nobody is told how well is known by heart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from canteen.lifecycle.evaluate.classification import Record, accuracy, ece
from canteen.lifecycle.evaluate.statistics import interval

NUM_FOLDS = 5
# With fewer examples a label, biases would be learned from noise.
LEAST_FOR_BIASES = 10
# How strongly biases are held near 0, and what a head is allowed to learn by heart.
BIAS_PENALTY = 0.001
HEAD_C = 10.0

Array = Any


@dataclass(frozen=True, slots=True)
class Learned:
    """Logits are divided by `temperature` and `biases` are added; or, with `weights`, shape
    (labels, dimensions), logits are their products with a vector, and the biases."""

    temperature: float
    biases: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    report: dict[str, Any]


def calibrate(logits: Sequence[Sequence[float]], gold: Sequence[int]) -> Learned:
    """Learn to say what is likely: rows of logits, shape (examples, labels), and the right ones."""
    rows, right = np.array(logits), np.array(gold)
    temperature, biases = _scaled(rows, right)
    before = _softmax(rows)
    after = _held_back(rows, right, _scaled_of)
    return Learned(temperature, tuple(biases.tolist()), (), _report(right, before, after))


def head(vectors: Sequence[Sequence[float]], gold: Sequence[int]) -> Learned:
    """Learn to tell labels by vectors, shape (examples, dimensions), and the right labels."""
    rows, right = np.array(vectors), np.array(gold)
    weights, biases = _linear(rows, right)
    after = _held_back(rows, right, _linear_of)
    report = _report(right, None, after)
    return Learned(1.0, tuple(biases.tolist()), tuple(map(tuple, weights.tolist())), report)


def _scaled(rows: Array, right: Array) -> tuple[float, Array]:
    """The temperature, and the biases where there are examples enough."""
    from scipy.optimize import minimize

    num_labels = rows.shape[1]
    has_biases = len(right) >= LEAST_FOR_BIASES * num_labels

    def loss(values: Array) -> float:
        biases = values[1:] if has_biases else 0.0
        told = _softmax(rows / np.exp(values[0]) + biases)[np.arange(len(right)), right]
        penalty = BIAS_PENALTY * float(np.square(values[1:]).sum())
        return float(-np.log(np.maximum(told, 1e-12)).mean()) + penalty

    start = np.zeros(1 + (num_labels if has_biases else 0))
    bounds = [(-4.0, 6.0)] + [(None, None)] * (len(start) - 1)
    found = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
    return float(np.exp(found[0])), found[1:] if has_biases else np.zeros(num_labels)


def _scaled_of(rows: Array, right: Array, held: Array, num_labels: int) -> Array:
    temperature, biases = _scaled(rows, right)
    return _softmax(held / temperature + biases)


def _linear(rows: Array, right: Array) -> tuple[Array, Array]:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=HEAD_C, max_iter=1000).fit(rows, right)
    if len(fitted.classes_) > 2:
        return fitted.coef_, fitted.intercept_
    # Of two labels the library keeps the difference.
    return np.vstack([-fitted.coef_, fitted.coef_]) / 2, np.append(
        -fitted.intercept_, fitted.intercept_
    ) / 2


def _linear_of(rows: Array, right: Array, held: Array, num_labels: int) -> Array:
    present = np.unique(right)
    shares = np.zeros((len(held), num_labels))
    if len(present) < 2:
        shares[:, present] = 1.0
        return shares
    weights, biases = _linear(rows, right)
    shares[:, present] = _softmax(held @ weights.T + biases)
    return shares


def _held_back(
    rows: Array, right: Array, tell: Callable[[Array, Array, Array, int], Array]
) -> Array | None:
    """Probabilities of each example by what was learned without it; None where they are few."""
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(right)
    num_folds = min(NUM_FOLDS, int(counts[counts > 0].min()))
    if num_folds < 2:
        return None
    num_labels = int(right.max()) + 1
    shares = np.zeros((len(right), num_labels))
    folds = StratifiedKFold(num_folds, shuffle=True, random_state=0)
    for taught, held in folds.split(rows, right):
        found = tell(rows[taught], right[taught], rows[held], num_labels)
        shares[held, : found.shape[1]] = found[:, :num_labels]
    return shares


def _report(right: Array, before: Array | None, after: Array | None) -> dict[str, Any]:
    """How well labels are told before and after, each figure with its bounds."""
    told: dict[str, Any] = {"num_examples": len(right)}
    for when, shares in (("before", before), ("after", after)):
        records = [] if shares is None else _records(right, shares)
        for metric in (accuracy(records), ece(records)) if records else ():
            found = interval(metric)
            told[f"{metric.name}_{when}"] = {
                "central": found.value,
                "low": found.low,
                "high": found.high,
            }
    return told


def _records(right: Array, shares: Array) -> list[Record]:
    return [
        Record(str(index), str(gold), str(row.argmax()), float(row.max()), float(row[gold]))
        for index, (gold, row) in enumerate(zip(right, shares, strict=True))
    ]


def _softmax(logits: Array) -> Array:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
