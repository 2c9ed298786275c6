"""Spans, counted exactly and in part."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.lifecycle.evaluate import entities
from canteen.lifecycle.evaluate.examples import Marked, Span

TEXT = "Ada Lovelace of London wrote to Charles Babbage."
ADA, LONDON = Span(0, 12, "person"), Span(16, 22, "place")

spans = st.builds(
    lambda start, length, kind: Span(start, start + length, kind),
    st.integers(0, 30),
    st.integers(1, 10),
    st.sampled_from(("person", "place")),
)


def values(gold: Sequence[Span], said: Sequence[Span]) -> dict[str, float]:
    record = entities.record(Marked("1", TEXT, tuple(gold)), said)
    found = entities.metrics([record], sorted(entities.names(record)))
    return {one.name: one.total for one in found}


def test_the_right_spans_are_all_right() -> None:
    found = values((ADA, LONDON), (LONDON, ADA))

    assert set(found.values()) == {1.0}


def test_an_overlap_is_half_in_part_and_nothing_exactly() -> None:
    found = values((ADA,), (Span(4, 12, "person"),))

    assert found["f1_exact"] == 0
    assert found["f1_partial"] == 0.5
    assert found["f1_type"] == 1


def test_the_wrong_type_counts_in_part_alone() -> None:
    found = values((ADA,), (Span(0, 12, "place"),))

    assert (found["f1_exact"], found["f1_partial"], found["f1_type"]) == (0, 1, 0)


def test_one_long_span_does_not_find_two() -> None:
    found = values((ADA, LONDON), (Span(0, 22, "person"),))

    assert found["f1_partial"] == pytest.approx(2 * 0.5 / 3)


def test_an_exact_match_goes_before_an_overlap() -> None:
    found = values((ADA,), (Span(0, 20, "person"), ADA))

    assert found["f1_exact"] == pytest.approx(2 / 3)
    assert found["precision_exact"] == 0.5


def test_each_type_has_its_own_f1() -> None:
    found = values((ADA, LONDON), (ADA, Span(0, 3, "place")))

    assert (found["f1_exact[person]"], found["f1_exact[place]"]) == (1, 0)


def test_nothing_found_where_nothing_is_is_right() -> None:
    assert values((), ())["f1_exact"] == 1


def test_a_quote_that_is_not_at_its_place_is_not_grounded() -> None:
    found = values((ADA,), (Span(0, 12, "person", "Ada Lovelace"), Span(16, 22, "place", "Paris")))

    assert found["grounded"] == 0.5


@given(st.lists(spans, max_size=6), st.lists(spans, max_size=6))
def test_what_is_counted_is_within_bounds_and_the_same_both_ways(
    gold: list[Span], said: list[Span]
) -> None:
    found, turned = values(gold, said), values(said, gold)

    assert all(0 <= one <= 1 for one in found.values())
    assert found["f1_partial"] >= found["f1_exact"]
    assert found["f1_type"] >= found["f1_exact"]
    assert found["f1_exact"] == pytest.approx(turned["f1_exact"])
