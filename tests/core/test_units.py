"""The algebra of uncertain quantities."""

import math
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.units import (
    Boundary,
    Grade,
    Input,
    Quantity,
    UnitMismatch,
    conversion,
    exact,
    shares_of_variance,
    sourced,
    total,
)

IT = Boundary(energy="it", time="active")
FACILITY = Boundary(energy="facility", time="active")

centrals = st.floats(1e-6, 1e9)
widths = st.floats(1.0, 20.0)
grades: st.SearchStrategy[Grade] = st.sampled_from(get_args(Grade))
names = st.integers(0, 10**9).map(str)


@st.composite
def figures(draw: st.DrawFn, unit: str = "J") -> Quantity:
    """A figure from one source, lopsided as it comes; exact where both widths are 1."""
    central = draw(centrals)
    low, high = central / draw(widths), central * draw(widths)
    told = Input(draw(names), central, low, high, unit, "a source", "2026-01-01")
    return sourced(told, draw(grades))


def values(quantity: Quantity) -> list[float]:
    return [quantity.low, quantity.central, quantity.high]


@given(figures(), figures("L/kWh"))
def test_products_and_sums_do_not_depend_on_order(one: Quantity, other: Quantity) -> None:
    assert values(one * other) == pytest.approx(values(other * one), rel=1e-9)
    assert (one * other).to("L").unit == (other * one).to("L").unit
    alike = other.to("L/J") * exact(1, "J*J/L")
    assert values(one + alike) == pytest.approx(values(alike + one), rel=1e-9)


@given(figures(), figures("1"), figures("1"))
def test_products_may_be_grouped_as_one_likes(a: Quantity, b: Quantity, c: Quantity) -> None:
    assert values((a * b) * c) == pytest.approx(values(a * (b * c)), rel=1e-9)


@given(figures(), figures("s"))
def test_a_quotient_undoes_a_product_in_the_median(one: Quantity, other: Quantity) -> None:
    back = one * other / other
    assert back.unit == "J"
    assert back.central == pytest.approx(one.central)
    assert back.low <= one.low * (1 + 1e-9)
    assert back.high >= one.high * (1 - 1e-9)


@given(figures("1"), figures("1"))
def test_the_sides_of_a_divisor_swap(one: Quantity, other: Quantity) -> None:
    inverse = exact(1) / other
    assert values(inverse) == pytest.approx([1 / other.high, 1 / other.central, 1 / other.low])
    assert values(one / other) == pytest.approx(values(one * inverse))


@given(figures("1"), figures("1"))
def test_products_never_multiply_corners(one: Quantity, other: Quantity) -> None:
    product = one * other
    assert product.low >= one.low * other.low * (1 - 1e-9)
    assert product.high <= one.high * other.high * (1 + 1e-9)
    if min(one.high / one.central, other.high / other.central) > 1.01:
        assert product.high < one.high * other.high


def test_a_product_adds_the_variances_of_the_logarithm() -> None:
    one, other = Quantity(1, 1 / 8, 8), Quantity(1, 1 / 16, 16)
    assert values(one * other) == pytest.approx([1 / 32, 1, 32])


@given(st.lists(figures(), min_size=1, max_size=6))
def test_sums_add_medians_and_deviations_in_quadrature(parts: list[Quantity]) -> None:
    whole = total(tuple(parts))
    assert whole.central == pytest.approx(sum(part.central for part in parts))
    up = math.hypot(*(part.high - part.central for part in parts))
    assert whole.high == pytest.approx(whole.central + up)
    assert sum(part.low for part in parts) <= whole.low * (1 + 1e-9)


@given(st.lists(st.tuples(centrals, st.floats(1, 1e30)), min_size=1, max_size=4))
def test_a_sum_of_the_widest_parts_stays_above_zero(told: list[tuple[float, float]]) -> None:
    parts = tuple(Quantity(central, central / width, central) for central, width in told)
    assert total(parts).low > 0


def test_a_sum_has_parts() -> None:
    with pytest.raises(ValueError, match="one part at least"):
        total(())


@pytest.mark.parametrize(
    "other", [exact(1, "s"), exact(1, "1"), exact(1, "J", IT), exact(1, "USD")]
)
def test_what_is_not_alike_is_neither_added_nor_compared(other: Quantity) -> None:
    one = exact(1, "J", FACILITY)
    with pytest.raises(UnitMismatch):
        one + other
    with pytest.raises(UnitMismatch):
        one.ratio(other)


def test_boundaries_that_contradict_are_not_multiplied() -> None:
    with pytest.raises(UnitMismatch, match="facility"):
        exact(1, "J", FACILITY) * exact(1, "L/J", IT)


def test_a_product_has_the_boundaries_of_both_sides() -> None:
    site = Boundary(water="site")
    product = exact(1, "kWh", IT) * exact(1, "L/kWh", site)
    assert product.boundary == Boundary(energy="it", water="site", time="active")


def test_a_ratio_is_plain_whatever_units_its_sides_were_told_in() -> None:
    ratio = exact(1, "kWh", IT).ratio(exact(3.6e6, "J", IT))
    assert ratio.central == pytest.approx(1)
    assert (ratio.unit, str(ratio.boundary)) == ("1", "none")


@pytest.mark.parametrize(
    ("unit", "other", "factor"),
    [
        ("kWh", "J", 3.6e6),
        ("GB", "GiB", 1e9 / 2**30),
        ("L/kWh", "mL/Wh", 1),
        ("day", "h", 24),
        ("t", "kg", 1000),
        ("TFLOP/s", "FLOP/s", 1e12),
        ("W*h", "Wh", 1),
    ],
)
def test_units_convert_both_ways(unit: str, other: str, factor: float) -> None:
    assert conversion(unit, other) == pytest.approx(factor)
    assert conversion(other, unit) == pytest.approx(1 / factor)


@given(figures("GB/s"))
def test_a_conversion_and_back_changes_nothing(quantity: Quantity) -> None:
    back = quantity.to("MiB/day").to("GB/s")
    assert values(back) == pytest.approx(values(quantity))
    assert back.unit == "GB/s"


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="'furlong' is no unit"):
        exact(1, "furlong/s")


@given(figures(), figures("1"), figures())
def test_shares_of_variance_add_up_to_one(one: Quantity, factor: Quantity, more: Quantity) -> None:
    result = one * factor + more
    shares = [share for _, share in shares_of_variance(result)]
    assert all(earlier >= later for earlier, later in pairwise(shares))
    if any(share > 0 for share in shares):
        assert sum(shares) == pytest.approx(1)


@given(figures("1"), figures("1"))
def test_the_variance_of_a_product_is_that_of_its_inputs(one: Quantity, other: Quantity) -> None:
    product = one * other
    down, up = (
        math.log(side / product.central) / 1.6448536 for side in (product.low, product.high)
    )
    told = sum(part.variance for part in product.inputs)
    assert told == pytest.approx((down**2 + up**2) / 2, rel=1e-5, abs=1e-12)


@given(figures(), figures(), figures("1"))
def test_the_worst_grade_wins(one: Quantity, other: Quantity, factor: Quantity) -> None:
    grades = (one.grade, other.grade, factor.grade)
    assert ((one + other) * factor).grade == max(grades)
    assert ((one + other) / factor).grade == max(grades)


@given(centrals, centrals, centrals)
def test_exact_stays_exact(a: float, b: float, c: float) -> None:
    result = (exact(a) + exact(b)) * exact(c) / exact(a) * 2
    assert result.low == result.central == result.high


@given(figures(), figures(), figures("1"), st.floats(0, 1e6))
def test_the_median_lies_between_low_and_high(
    one: Quantity, other: Quantity, factor: Quantity, times: float
) -> None:
    for result in (one + other, one * factor, one / factor, one * times, one.to("kWh")):
        assert result.low <= result.central <= result.high


def test_nothing_times_anything_is_exactly_nothing() -> None:
    nothing = exact(0, "kWh") * Quantity(1, 0.5, 2, "L/kWh")
    assert values(nothing) == [0, 0, 0]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ((1, 2, 3), "in order"),
        ((1, 0, 2), "no zero"),
        ((-1, -1, -1), "not negative"),
        ((1, 1, math.inf), "finite"),
    ],
)
def test_what_is_no_lognormal_is_refused(told: tuple[float, float, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Quantity(*told)


@given(figures("1"), figures("1"))
def test_an_input_of_both_sides_is_named_once(one: Quantity, other: Quantity) -> None:
    shared = one * other * one
    assert len({(part.name, part.value) for part in shared.inputs}) == len(shared.inputs)
