"""Intervals and paired tests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.lifecycle.evaluate.metrics import f_score, mean, ratio
from canteen.lifecycle.evaluate.statistics import compare, interval

shares = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@given(shares)
def test_a_mean_lies_within_its_interval_and_the_interval_within_its_values(
    values: list[float],
) -> None:
    found = interval(mean("m", values), num_samples=100)

    assert min(values) - 1e-9 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= max(values) + 1e-9


@given(shares)
def test_the_same_items_give_the_same_interval(values: list[float]) -> None:
    assert interval(mean("m", values)) == interval(mean("m", values))


def test_an_interval_is_as_wide_as_theory_says() -> None:
    right = [1.0] * 300 + [0.0] * 100

    found = interval(mean("accuracy", right), num_samples=4000)

    width = 1.96 * (0.75 * 0.25 / 400) ** 0.5
    assert found.low == pytest.approx(0.75 - width, abs=0.006)
    assert found.high == pytest.approx(0.75 + width, abs=0.006)


def test_resampling_in_chunks_gives_what_one_by_one_gives() -> None:
    random = np.random.default_rng(0)
    rows = [tuple(row) for row in random.integers(0, 5, (3000, 3)).astype(float)]
    metric = f_score("f1", rows)

    found = interval(metric)

    drawn = np.random.default_rng(0)
    naive = []
    for chunk in (699, 301):
        picked = drawn.integers(0, 3000, (chunk, 3000))
        naive += [float(metric.value(metric.counters[one].sum(axis=0))) for one in picked]
    assert found.low == pytest.approx(np.quantile(naive, 0.025))
    assert found.high == pytest.approx(np.quantile(naive, 0.975))


@given(shares)
def test_a_run_does_not_differ_from_itself(values: list[float]) -> None:
    found = compare(mean("m", values), mean("m", values), num_samples=50)

    assert found.difference.low == found.difference.high == 0
    assert found.p_value == 1


def test_a_run_that_is_better_on_every_item_differs_and_one_that_is_so_by_chance_does_not() -> None:
    random = np.random.default_rng(1)
    one, other = random.random(200), random.random(200)

    better = compare(mean("m", list(one)), mean("m", list(one - 0.1)))
    chance = compare(mean("m", list(one)), mean("m", list(other)))

    assert better.p_value < 0.002
    assert better.difference.low > 0
    assert chance.p_value > 0.05
    assert chance.difference.low < 0 < chance.difference.high


def test_pairing_sees_what_two_intervals_cannot() -> None:
    """Items differ much more than the two runs do."""
    one = mean("m", [place / 200 for place in range(200)])
    other = mean("m", [place / 200 - 0.01 for place in range(200)])

    assert interval(one).low < interval(other).high
    assert compare(one, other).p_value < 0.002


def test_the_p_value_is_that_of_counting_all_swaps() -> None:
    """Six items, of which all differ: of 64 swaps two are as extreme."""
    found = compare(mean("m", [1.0] * 6), mean("m", [0.0] * 6), num_samples=8000)

    assert found.p_value == pytest.approx(2 / 64, abs=0.006)


def test_runs_of_other_items_cannot_be_compared() -> None:
    with pytest.raises(InvalidRequest, match="other items"):
        compare(mean("m", [1.0]), mean("m", [1.0, 0.0]))


def test_nothing_has_an_interval_of_its_own_value() -> None:
    assert interval(ratio("m", [], of_nothing=1.0)).low == 1.0
    assert compare(mean("m", []), mean("m", [])).p_value == 1.0
