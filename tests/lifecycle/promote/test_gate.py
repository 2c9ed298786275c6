"""Gates: how they are read, what is wrong with them and where, and when they hold."""

import math

import pytest

from canteen.core.errors import InvalidRequest
from canteen.lifecycle.promote.gate import Condition, Figure, exact, judge, parse


def test_a_gate_is_read_as_people_write_it() -> None:
    found = parse("accuracy>=0.85 on sentiment; perplexity <= 1.02x and bytes<2e9 ;")

    assert found == (
        Condition("accuracy", ">=", 0.85, data="movie-sentiment"),
        Condition("perplexity", "<=", 1.02, is_relative=True),
        Condition("bytes", "<", 2e9),
    )


def test_what_is_quoted_may_hold_what_joins_conditions() -> None:
    found = parse('accuracy>.5 on "mine; and yours.jsonl" AND f1_exact[order number]>=1x on names')

    assert [one.data for one in found] == ["mine; and yours.jsonl", "names"]
    assert found[1].metric == "f1_exact[order number]"
    assert found[0].text == 'accuracy>0.5 on "mine; and yours.jsonl"'


def test_a_condition_is_read_again_from_its_text() -> None:
    gate = 'accuracy>=0.85 on "a b"; perplexity<=1.02x; perplexity<20 on text.txt'

    found = parse(gate)

    assert parse("; ".join(one.text for one in found)) == found


@pytest.mark.parametrize(
    ("gate", "place", "wanted"),
    [
        ("", 0, "the gate is empty"),
        (" ; ", 0, "the gate is empty"),
        (">=0.8 on spam", 1, "the name of a metric"),
        ("accuracy on spam", 10, "one of >=, <=, > and <"),
        ("accuracy = 0.8 on spam", 10, "one of >=, <=, > and <"),
        ("accuracy>=high on spam", 11, "a number"),
        ("accuracy>=0.8y on spam", 11, "a number"),
        ("accuracy>=0.8", 14, "on and a data set"),
        ("perplexity<=1x; accuracy>=0.8 in spam", 31, "the end of the condition"),
        ("accuracy>=0.8 on", 15, "the end of the condition"),
        ("accuracy>=0.8 on spam or ham", 23, "; or and"),
        ("perplexity<=1x; accuracy>=0.8", 30, "on and a data set"),
        ("bytes<1e9 on spam", 18, "no data set"),
        ("perplexity<=1e999", 0, "the bound of 'perplexity<=1e999' is too large"),
    ],
)
def test_a_gate_that_is_wrong_is_pointed_into(gate: str, place: int, wanted: str) -> None:
    with pytest.raises(InvalidRequest, match=r"the gate is|the bound of") as caught:
        parse(gate)

    assert caught.value.param == "gate"
    assert wanted in caught.value.message
    assert not place or f"at character {place} " in caught.value.message


def test_the_value_holds_or_with_sure_its_whole_interval() -> None:
    least, most = parse("accuracy>=0.8 on spam; ece<=0.1 on spam")
    accuracy, ece = Figure(0.82, 0.78, 0.86), Figure(0.09, 0.05, 0.12)

    assert judge(least, accuracy, None).holds
    assert judge(most, ece, None).holds
    assert not judge(least, accuracy, None, is_sure=True).holds
    assert not judge(most, ece, None, is_sure=True).holds
    assert judge(least, Figure(0.9, 0.85, 0.95), None, is_sure=True).holds


@pytest.mark.parametrize(
    ("gate", "holds"),
    [
        ("perplexity<=1.02x", True),
        ("perplexity<1.01x", False),
        ("perplexity>=1x", True),
        ("perplexity>1.01x", False),
    ],
)
def test_a_relative_bound_is_of_what_the_name_holds_now(gate: str, holds: bool) -> None:
    (condition,) = parse(gate)

    verdict = judge(condition, exact(10.1), exact(10.0))

    assert verdict.holds is holds
    assert verdict.bound == pytest.approx(condition.bound * 10)


def test_nothing_can_be_compared_with_nothing() -> None:
    (condition,) = parse("perplexity<=1.02x")

    with pytest.raises(InvalidRequest, match=r"'perplexity<=1.02x'.*holds nothing yet"):
        judge(condition, exact(10), None)


def test_a_relative_bound_that_is_no_number_any_more_is_refused() -> None:
    (condition,) = parse("perplexity<=1e308x")

    with pytest.raises(InvalidRequest, match=r"the bound of .* is too large"):
        judge(condition, exact(10), exact(20))


def test_what_is_no_number_never_holds() -> None:
    least, most = parse("spearman>=0 on lee; spearman<=1 on lee")

    assert not judge(least, exact(math.nan), None).holds
    assert not judge(most, exact(math.nan), None).holds
