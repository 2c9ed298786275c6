"""How well texts are classified: accuracy, macro-F1, and whether probabilities mean what they say.

Expected calibration error: Naeini et al. 2015, with 15 bins of equal width.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from canteen.lifecycle.evaluate.examples import Classified, Prediction
from canteen.lifecycle.evaluate.metrics import Array, Metric, divide, mean, ratio
from canteen.lifecycle.evaluate.similarity import spearman

NUM_BINS = 15
_LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True, slots=True)
class Record:
    """An answer against its gold. `confidence` is the probability of the class it named,
    `gold_probability` that of the right one; the sign of `grade` says which of two it is."""

    id: str
    gold: str
    predicted: str
    confidence: float | None = None
    gold_probability: float | None = None
    grade: float | None = None

    @property
    def is_right(self) -> bool:
        """Whether it named the right class."""
        return self.gold == self.predicted


def record(example: Classified, outcome: Prediction) -> Record:
    """Judge one answer."""
    given = outcome.probabilities
    if not given:
        return Record(example.id, example.label, outcome.label, grade=example.grade)
    return Record(
        example.id,
        example.label,
        outcome.label,
        given.get(outcome.label, 0.0),
        given.get(example.label, 0.0),
        example.grade,
    )


def names(one: Record) -> set[str]:
    """The classes a record is about; none stands for an answer that failed."""
    return {one.gold, one.predicted} - {""}


def score(one: Record) -> float:
    """From 1, right, to -1, wrong and sure of it."""
    if one.is_right:
        return 1.0
    return 0.0 if one.confidence is None else -one.confidence


def metrics(records: Sequence[Record], labels: Sequence[str]) -> tuple[Metric, ...]:
    """Those of all records; calibration where probabilities are known."""
    found = [accuracy(records), macro_f1(records, labels)]
    if any(one.confidence is not None for one in records):
        found += [ece(records), nll(records)]
        if all(one.grade is not None for one in records):
            found.append(_graded(records))
    return tuple(found)


def accuracy(records: Sequence[Record]) -> Metric:
    """The share of right answers."""
    return mean("accuracy", [float(one.is_right) for one in records])


def macro_f1(records: Sequence[Record], labels: Sequence[str]) -> Metric:
    """The mean F1 of the classes that are in gold or answers."""
    gold = _one_hot([one.gold for one in records], labels)
    predicted = _one_hot([one.predicted for one in records], labels)
    counters = np.concatenate([gold * predicted, gold + predicted], axis=1)
    width = len(labels)

    def value(sums: Array) -> Array:
        right, both = sums[..., :width], sums[..., width:]
        return divide(divide(2 * right, both).sum(axis=-1), (both > 0).sum(axis=-1))

    return Metric("macro_f1", counters, value)


def ece(records: Sequence[Record]) -> Metric:
    """Expected calibration error: how far confidence is from accuracy, bin by bin."""
    counters = np.zeros((len(records), 3 * NUM_BINS))
    for row, one in zip(counters, records, strict=True):
        if one.confidence is not None:
            place = bin_of(one.confidence)
            row[[place, NUM_BINS + place, 2 * NUM_BINS + place]] = 1, one.confidence, one.is_right

    def value(sums: Array) -> Array:
        count, confidence, right = np.split(sums, 3, axis=-1)
        return divide(np.abs(confidence - right).sum(axis=-1), count.sum(axis=-1))

    return Metric("ece", counters, value, is_higher_better=False)


def bin_of(confidence: float) -> int:
    """The number of a confidence's bin."""
    return min(int(confidence * NUM_BINS), NUM_BINS - 1)


def nll(records: Sequence[Record]) -> Metric:
    """The mean negative log-likelihood of the right classes, in nats."""
    rows = [
        (0.0, 0.0)
        if one.gold_probability is None
        else (-math.log(max(one.gold_probability, _LEAST_PROBABILITY)), 1.0)
        for one in records
    ]
    return ratio("nll", rows, is_higher_better=False)


def _graded(records: Sequence[Record]) -> Metric:
    """Rank correlation of grades with the probability of the class of grades above 0."""
    grades = [one.grade or 0.0 for one in records]
    of_gold = [one.gold_probability or 0.0 for one in records]
    above = [p if grade > 0 else 1 - p for p, grade in zip(of_gold, grades, strict=True)]
    return spearman("spearman", above, grades)


def _one_hot(chosen: Sequence[str], labels: Sequence[str]) -> Array:
    places = {label: place for place, label in enumerate(labels)}
    hot = np.zeros((len(chosen), len(labels)))
    for row, label in zip(hot, chosen, strict=True):
        if label in places:
            row[places[label]] = 1
    return hot
