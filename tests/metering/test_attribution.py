"""Who caused how much of a step, against the definition of the Shapley value."""

from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.engine import Work
from canteen.metering.attribution import StepCost, Weights, add_step, apportion

COSTS = st.builds(
    StepCost,
    fixed_s=st.floats(0, 1),
    token_s=st.floats(1e-6, 1e-2),
    attention_s=st.floats(0, 1e-5),
    cache_s=st.floats(0, 1e-5),
)
WORKS = st.dictionaries(
    st.sampled_from("abcde"),
    st.tuples(st.integers(0, 300), st.integers(1, 4), st.integers(0, 4000)),
    min_size=1,
).map(
    lambda rows: [
        Work(name, prefill, 0 if prefill else decode, context)
        for name, (prefill, decode, context) in rows.items()
    ]
)


def taken_s(cost: StepCost, works: list[Work]) -> dict[str, float]:
    weights: dict[str, Weights] = {}
    add_step(weights, cost, works)
    return {name: taken.prefill_s + taken.decode_s for name, taken in weights.items()}


def step_s(cost: StepCost, works: list[Work]) -> float:
    """What a step of these alone would take."""
    return (cost.fixed_s if works else 0.0) + sum(cost.of_own(work) for work in works)


def shapley_s(cost: StepCost, works: list[Work], name: str) -> float:
    """By definition: what the request adds, averaged over all orders of joining."""
    orders = list(permutations(works))
    added_s = 0.0
    for order in orders:
        at = [work.request_id for work in order].index(name)
        added_s += step_s(cost, list(order[: at + 1])) - step_s(cost, list(order[:at]))
    return added_s / len(orders)


@given(COSTS, WORKS)
def test_the_closed_form_is_the_shapley_value(cost: StepCost, works: list[Work]) -> None:
    for name, part_s in taken_s(cost, works).items():
        assert part_s == pytest.approx(shapley_s(cost, works, name), rel=1e-6, abs=1e-12)


@given(COSTS, WORKS)
def test_the_parts_are_the_whole_step(cost: StepCost, works: list[Work]) -> None:
    assert sum(taken_s(cost, works).values()) == pytest.approx(step_s(cost, works))


def test_who_does_the_same_in_a_step_takes_the_same_of_it() -> None:
    works = [Work("a", 0, 1, 70), Work("b", 30, 0, 0), Work("c", 0, 1, 70)]

    taken = taken_s(StepCost(0.5, 1e-3, 1e-6, 1e-6), works)

    assert taken["a"] == taken["c"] != taken["b"]


def test_a_request_of_several_sequences_bears_one_part_of_what_is_common() -> None:
    works = [Work("a", 0, 1, 0), Work("a", 0, 1, 0), Work("b", 0, 2, 0)]

    taken = taken_s(StepCost(fixed_s=6.0, token_s=1.0), works)

    assert taken == {"a": 5.0, "b": 5.0}


def test_a_cached_prefix_is_paid_for_as_reading_it_only() -> None:
    cost = StepCost(fixed_s=0.0, token_s=1.0, attention_s=0.0, cache_s=0.01)

    hit = taken_s(cost, [Work("hit", 10, 0, 90)])["hit"]
    miss = taken_s(cost, [Work("miss", 100, 0, 0)])["miss"]

    assert hit == pytest.approx(10.9)
    assert miss == 100


def test_the_default_cost_makes_tokens_equal() -> None:
    assert StepCost().of_own(Work("a", 7, 0, 500)) == 7
    assert StepCost().of_own(Work("a", 0, 1, 500)) == 1


TOTALS = st.integers(0, 10**15)
SHARES = st.lists(st.floats(0, 1e12), min_size=1, max_size=64).filter(any)


@given(TOTALS, SHARES)
def test_a_split_sums_to_the_whole_and_nobody_pays_less_than_nothing(
    total: int, shares: list[float]
) -> None:
    parts = apportion(total, shares)

    assert sum(parts) == total
    assert min(parts) >= 0


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1).filter(any))
def test_nobody_is_a_whole_unit_off_his_share(total: int, shares: list[int]) -> None:
    whole = sum(shares)

    for part, share in zip(apportion(total, shares), shares, strict=True):
        assert abs(part - Fraction(total * share, whole)) < 1


def test_of_equal_remainders_the_first_is_rounded_up() -> None:
    assert apportion(5, [1.0, 1.0, 1.0]) == [2, 2, 1]
    assert apportion(10, [0.0, 3.0, 0.0]) == [0, 10, 0]
