"""On what terms a request comes, from the headers that clients and proxies send."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.api.terms import TIMEOUTS_S, Terms, terms_of


@pytest.mark.parametrize(
    ("name", "value", "timeout_s"),
    [
        *((name, "2.5", 2.5) for name in TIMEOUTS_S),
        ("x-envoy-expected-rq-timeout-ms", "1500", 1.5),
        ("grpc-timeout", "2M", 120.0),
        ("grpc-timeout", "250m", 0.25),
    ],
)
def test_a_deadline_is_read_from_every_header_that_says_one(
    name: str, value: str, timeout_s: float
) -> None:
    assert terms_of({name: value}).timeout_s == timeout_s


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "-1", "1e999", "60s"])
def test_what_is_no_number_of_seconds_says_nothing(value: str) -> None:
    assert terms_of({"x-stainless-timeout": value, "grpc-timeout": value}) == Terms()


def test_the_earliest_of_several_deadlines_holds() -> None:
    terms = terms_of({"x-stainless-timeout": "60", "x-request-timeout": "5"})

    assert terms.deadline_s(100.0, 3600.0, is_streamed=True) == 105.0
    assert terms.deadline_s(100.0, 3.0, is_streamed=True) == 103.0


def test_a_read_timeout_is_a_deadline_only_for_an_answer_that_comes_whole() -> None:
    terms = terms_of({"x-stainless-read-timeout": "20"})

    assert terms.deadline_s(0.0, 3600.0, is_streamed=False) == 20.0
    assert terms.deadline_s(0.0, 3600.0, is_streamed=True) == 3600.0


def test_priority_and_retries_are_read() -> None:
    terms = terms_of({"x-canteen-priority": "Batch", "x-stainless-retry-count": "2"})

    assert (terms.priority, terms.num_retries) == ("batch", 2)


@given(st.dictionaries(st.sampled_from((*TIMEOUTS_S, "grpc-timeout")), st.text()))
def test_whatever_stands_there_the_deadline_is_a_time(headers: dict[str, str]) -> None:
    assert math.isfinite(terms_of(headers).deadline_s(0.0, 3600.0, is_streamed=False))
