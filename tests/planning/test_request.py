"""What can be asked, and what is refused with the name of the field."""

import dataclasses
import datetime
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.planning.request import MOST_TOKENS, PlanRequest, count


def test_a_plan_is_of_serving_unless_training_is_asked_for() -> None:
    assert not PlanRequest("7B").is_training
    assert PlanRequest("7B", train_tokens=10).is_training
    assert PlanRequest("7B", finetune="lora").is_training


def test_every_field_says_what_it_means() -> None:
    assert all(one.metadata["meaning"].endswith(".") for one in dataclasses.fields(PlanRequest))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_sequences", -1),
        ("num_sequences", 0),
        ("num_devices", 0),
        ("context_length", 0),
        ("prompt_tokens", -5),
        ("train_tokens", 0),
        ("utilization", 0.0),
        ("utilization", 1.5),
        ("utilization", math.nan),
        ("requests_per_s", -1.0),
        ("requests_per_s", math.inf),
        ("price_usd_per_h", 0.0),
        ("price_usd_per_h", -1.0),
        ("finetune", "half"),
        ("colocate", 0),
        ("as_of", "yesterday"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=field) as refused:
        PlanRequest("7B", **{field: value})

    assert refused.value.param == field


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"device": "H100", "instance": "p5.48xlarge"}, "device"),
        ({"ttft_s": 1.0}, "ttft_s"),
        ({"zero": 3}, "zero"),
        ({"lora_rank": 8}, "lora_rank"),
        ({"finetune": "full", "lora_rank": 8}, "lora_rank"),
        ({"train_tokens": 10, "saas": "openai/gpt-4o"}, "saas"),
        ({"finetune": "lora", "requests_per_s": 1.0}, "requests_per_s"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        PlanRequest("7B", **fields)

    assert refused.value.param == param


def test_prices_are_those_of_the_day_that_is_given_or_of_today() -> None:
    today = datetime.date(2026, 11, 23)

    assert PlanRequest("7B").day(today) == today
    assert PlanRequest("7B", as_of="2023-10-01").day(today) == datetime.date(2023, 10, 1)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7B", 7_000_000_000),
        ("1.5T", 1_500_000_000_000),
        ("300e9", 300_000_000_000),
        ("135m", 135_000_000),
        ("128k", 128_000),
        ("4096", 4096),
        ("0.5", 0),
    ],
)
def test_a_count_may_have_a_suffix_or_an_exponent(text: str, number: int) -> None:
    assert count(text) == number


@pytest.mark.parametrize("text", ["", "B", "-7B", "7 billion", "smollm2:135m", "inf", "1e400"])
def test_other_words_are_no_count(text: str) -> None:
    assert count(text) is None


@given(st.integers(0, MOST_TOKENS // 10**9))
def test_a_count_in_billions_is_exact(billions: int) -> None:
    assert count(f"{billions}B") == billions * 10**9
