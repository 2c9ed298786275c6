"""Accuracy, macro-F1 and calibration."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from canteen.lifecycle.evaluate import classification
from canteen.lifecycle.evaluate.classification import Record
from canteen.lifecycle.evaluate.examples import Classified, Prediction
from canteen.lifecycle.evaluate.statistics import interval

labels = st.sampled_from("abcd")


def judged(pairs: Sequence[tuple[str, str]]) -> list[Record]:
    return [Record(str(place), gold, said) for place, (gold, said) in enumerate(pairs)]


def values(records: Sequence[Record], names: Sequence[str] = "abcd") -> dict[str, float]:
    return {one.name: one.total for one in classification.metrics(records, names)}


@given(st.lists(st.tuples(labels, labels), min_size=1))
def test_macro_f1_is_scikit_learn_s(pairs: list[tuple[str, str]]) -> None:
    found = values(judged(pairs))

    gold, said = zip(*pairs, strict=True)
    assert found["macro_f1"] == pytest.approx(f1_score(gold, said, average="macro"))


def test_macro_f1_of_resamples_is_that_of_the_items_drawn() -> None:
    random = np.random.default_rng(3)
    gold, said = random.choice(list("abcd"), 60), random.choice(list("abcd"), 60)
    metric = classification.macro_f1(judged(list(zip(gold, said, strict=True))), "abcd")

    found = interval(metric)

    picked = np.random.default_rng(0).integers(0, 60, (1000, 60))
    naive = [f1_score(gold[one], said[one], average="macro") for one in picked[:200]]
    assert found.low == pytest.approx(np.quantile(naive, 0.025), abs=0.02)


def test_an_answer_that_failed_is_wrong_and_of_no_class() -> None:
    records = [
        classification.record(Classified("1", "x", "a"), Prediction("")),
        classification.record(Classified("2", "x", "a"), Prediction("a")),
    ]

    assert values(records, "a") == {"accuracy": 0.5, "macro_f1": pytest.approx(2 / 3)}
    assert classification.names(records[0]) == {"a"}


def with_confidence(*pairs: tuple[float, bool]) -> list[Record]:
    return [
        Record(str(place), "a", "a" if is_right else "b", sure, sure if is_right else 1 - sure)
        for place, (sure, is_right) in enumerate(pairs)
    ]


def test_calibration_error_is_the_distance_of_confidence_from_accuracy() -> None:
    sure_and_half_right = with_confidence((0.9, True), (0.9, False))
    two_bins = with_confidence((0.95, True), (0.95, True), (0.55, False), (0.55, True))

    assert values(sure_and_half_right)["ece"] == pytest.approx(0.4)
    assert values(two_bins)["ece"] == pytest.approx((2 * 0.05 + 2 * 0.05) / 4)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_calibration_error_is_at_least_that_of_one_bin(pairs: list[tuple[float, bool]]) -> None:
    found = values(with_confidence(*pairs))["ece"]

    sure, right = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
    assert abs(sure - right) - 1e-9 <= found <= 1 + 1e-9


def test_likelihood_is_of_the_right_class_and_finite() -> None:
    record = classification.record(
        Classified("1", "x", "a"), Prediction("b", {"a": 0.25, "b": 0.75})
    )
    impossible = classification.record(Classified("2", "x", "a"), Prediction("b", {"b": 1.0}))

    assert values([record])["nll"] == pytest.approx(math.log(4))
    assert values([impossible])["nll"] < 30


def test_answers_without_probabilities_have_no_calibration() -> None:
    assert set(values(judged([("a", "a")]))) == {"accuracy", "macro_f1"}


def test_graded_texts_are_also_ranked() -> None:
    examples = [
        Classified(str(grade), "x", "good" if grade > 0 else "bad", grade)
        for grade in (-3.0, -1.0, 1.0, 3.0)
    ]
    sure = (0.1, 0.4, 0.6, 0.9)
    records = [
        classification.record(one, Prediction("good", {"good": p, "bad": 1 - p}))
        for one, p in zip(examples, sure, strict=True)
    ]

    assert values(records, ("bad", "good"))["spearman"] == pytest.approx(1)


def test_the_worst_error_is_the_one_that_was_surest() -> None:
    right, unsure, sure = with_confidence((0.6, True), (0.6, False), (0.99, False))

    assert sorted((right, unsure, sure), key=classification.score) == [sure, unsure, right]
