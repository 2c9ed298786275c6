"""Limits by their names, periods of the clock, and what may be taken at most."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.generation import (
    EmbeddingRequest,
    GenerationRequest,
    Grammar,
    Message,
    SamplingParams,
    ScorePrompt,
    ScoreRequest,
)
from canteen.metering.keys import estimate
from canteen.metering.keys.limits import (
    Ask,
    Cell,
    Grant,
    Limit,
    decide,
    limits_of,
    period,
)

AMOUNTS = st.integers(0, 1000)


def test_limits_go_by_names() -> None:
    made = limits_of({"concurrency": 3, "tokens_per_day": 10, "wh_per_month": 0.5})

    assert set(made) == {
        Limit("requests", "moment", 3),
        Limit("tokens", "day", 10),
        Limit("wh", "month", 500_000_000),
    }
    assert {one.name for one in made} == {"concurrency", "tokens_per_day", "wh_per_month"}


@pytest.mark.parametrize(
    ("per", "begins", "ends"),
    [
        ("minute", "2028-02-29T23:59:00", "2028-03-01T00:00:00"),
        ("day", "2028-02-29T00:00:00", "2028-03-01T00:00:00"),
        ("month", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
    ],
)
def test_periods_are_those_of_the_clock(per: str, begins: str, ends: str) -> None:
    now = datetime(2028, 2, 29, 23, 59, 59, 5, UTC)

    told = [datetime.fromtimestamp(one, UTC) for one in period(per, now.timestamp())]  # type: ignore[arg-type]

    assert told == [datetime.fromisoformat(f"{one}+00:00") for one in (begins, ends)]


@given(
    most=st.lists(AMOUNTS, min_size=2, max_size=2),
    rate=st.one_of(st.none(), st.integers(1, 5)),
    asks=st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=20),
)
def test_what_is_granted_always_fits(
    most: list[int], rate: int | None, asks: list[tuple[int, int]]
) -> None:
    cells = [(Limit("tokens", "day", most[0]), Cell()), (Limit("wh", "day", most[1]), Cell())]

    for first, second in asks:
        ask = Ask(max(first, second), min(first, second), {"wh": rate})
        decision = decide(ask, cells)
        if isinstance(decision, Grant):
            assert min(first, second) <= decision.tokens <= max(first, second)
            for limit, cell in cells:
                cell.held += decision.amounts[limit]

    assert all(cell.held <= limit.most for limit, cell in cells)


@given(st.lists(st.text(max_size=30), max_size=5))
def test_a_prompt_has_no_more_tokens_than_are_held_for_it(texts: list[str]) -> None:
    messages = tuple(Message("user", text) for text in texts)
    request = GenerationRequest("id", "model", messages=messages)

    bound = estimate.prompt_tokens(request, 10_000)

    assert bound >= sum(len(text.encode()) for text in texts)
    assert estimate.prompt_tokens(request, 50) == 50


def test_an_answer_may_be_as_long_as_is_asked_for_and_made_twice_where_it_is_json() -> None:
    sampling = SamplingParams(max_tokens=7)
    short = GenerationRequest("id", "model", prompt="a", sampling=sampling)
    whole = GenerationRequest("id", "model", prompt="a", grammar=Grammar("json_object"))

    assert (estimate.completion_tokens(short, 100), estimate.num_tries(short)) == (7, 1)
    assert (estimate.completion_tokens(whole, 100), estimate.num_tries(whole)) == (100, 2)


def test_inputs_that_are_embedded_or_scored_are_counted_each() -> None:
    embedded = EmbeddingRequest("id", "model", ("abc", (1, 2)))
    prompt = ScorePrompt((Message("user", "abc"),), ("yes", "no"))

    assert estimate.prompt_tokens(embedded, 100) >= 5
    assert estimate.completion_tokens(embedded, 100) == 0
    assert estimate.prompt_tokens(ScoreRequest("id", "model", (prompt,)), 1000) >= 8
