"""One plan from all parts: what is composed, what is left out, and what is refused."""

import datetime
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.core.units import exact
from canteen.factors.hardware import device
from canteen.planning.result import Here
from tests.planning.plans import planned, served

MODEL = "llama3.1:8b"


def test_without_a_place_a_model_is_planned_on_this_machine_where_it_stands() -> None:
    here = Here(device("H100"), region="eu-north-1", price=exact(3.0, "USD/h"))

    made = planned(MODEL, here)

    assert made.place.device is here.device
    assert made.place.price == here.price
    assert made.site.name == "eu-north-1"


def test_an_instance_brings_its_devices_its_provider_and_its_price() -> None:
    place = planned(MODEL, instance="p5.48xlarge").place

    assert (place.num, place.provider, place.region) == (8, "aws", "us-east-1")
    assert place.price is not None
    assert place.price.central == 55.04


def test_a_machine_of_another_cloud_stands_in_that_clouds_region() -> None:
    made = planned(MODEL, instance="a3-highgpu-8g")

    assert (made.place.provider, made.site.name) == ("google", "us-east4")
    assert made.place.price is not None
    with pytest.raises(InvalidRequest, match="which has no region 'eu-north-1'"):
        planned(MODEL, instance="a3-highgpu-8g", region="eu-north-1")


def test_the_price_is_that_of_the_day_that_is_asked_for() -> None:
    price = planned(MODEL, instance="p5.48xlarge", as_of="2023-10-15").place.price

    assert price is not None
    assert price.central == 98.32


@pytest.mark.parametrize(("num", "share"), [(1, 1 / 8), (8, 1), (1024, 128)])
def test_devices_cost_their_share_of_the_instance(num: int, share: float) -> None:
    price = planned(MODEL, instance="p5.48xlarge", num_devices=num).place.price

    assert price is not None
    assert price.central == pytest.approx(55.04 * share)


def test_a_price_that_is_told_is_taken_in_place_of_the_tables() -> None:
    price = planned(MODEL, instance="p5.48xlarge", price_usd_per_h=10.0).place.price

    assert price == exact(10.0, "USD/h")


def test_hardware_of_ones_own_costs_its_price_its_power_and_its_upkeep() -> None:
    asked: dict[str, Any] = {"device": "H100", "hardware_usd": 8766.0 * 4}
    bought = planned(MODEL, electricity_usd_per_kwh=0.0, **asked)
    powered = planned(MODEL, electricity_usd_per_kwh=0.2, upkeep_usd_per_h=0.5, **asked)

    assert bought.place.price is not None
    assert bought.place.price.central == pytest.approx(1.0)
    assert powered.place.price is not None
    kilowatts = 0.7 * 0.73 * 1.3
    assert powered.place.price.central == pytest.approx(1.5 + kilowatts * 1.7 * 0.2)
    assert powered.serving is not None
    assert powered.serving.cost is not None


def test_what_stands_idle_is_a_cost_of_its_own() -> None:
    cost = served(MODEL, instance="p5.48xlarge", utilization=0.25).cost

    assert cost is not None
    assert cost.idle.central == pytest.approx(0.75 * 55.04)


def test_what_has_no_price_is_planned_without_money_and_says_so() -> None:
    made = planned(MODEL, device="H100")

    assert made.serving is not None
    assert made.serving.cost is None
    assert made.serving.prediction is not None
    assert any("no price" in note for note in made.notes)


def test_what_does_not_fit_has_no_speed() -> None:
    made = planned("gpt-3", instance="g5.48xlarge")

    assert made.serving is not None
    assert made.serving.memory.fits == "no"
    assert made.serving.prediction is None
    assert made.serving.footprint is None
    assert any("does not fit" in note for note in made.notes)


def test_only_formats_that_fit_have_a_speed() -> None:
    choices = served("gpt-3", instance="g5.48xlarge").choices

    assert all((one.decode_speed is None) == (one.memory.fits == "no") for one in choices)
    assert {one.memory.fits for one in choices} == {"yes", "no"}


def test_a_longer_request_is_given_more_context() -> None:
    assert served(MODEL).memory.sequences.context == 4096
    assert served(MODEL, prompt_tokens=10_000).memory.sequences.context == 10_256


def test_the_context_is_no_longer_than_the_models() -> None:
    assert served("gpt2").memory.sequences.context == 1024


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"context_length": 512}, "does not hold a request"),
        ({"context_length": 200_000}, "holds 131,072 tokens"),
        ({"prompt_tokens": 200_000}, "holds 131,072 tokens"),
        ({"num_devices": 4}, "needs a device or an instance"),
        ({"instance": "p5.48xlrge"}, "near it: p5.48xlarge"),
        ({"device": "H10"}, "near it: H100"),
        ({"region": "us-eats-1"}, "near it: us-east-1"),
        ({"provider": "amazn"}, "near it: "),
        ({"quantization": "Q4_KM"}, "near it: Q4_K_M"),
        ({"kv_cache": "q3"}, "it can be f32"),
        ({"colocate": 3}, "and its price"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_what_to_do(
    asked: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidRequest, match=says):
        planned(MODEL, **asked)


def test_more_at_once_write_more_and_cost_less_each() -> None:
    batches = served(MODEL, instance="p5.48xlarge").batches

    speeds = [one.prediction.decode_speed.central for one in batches]
    prices = [one.cost.per_mtok.central for one in batches if one.cost]
    assert speeds == sorted(speeds)
    assert prices == sorted(prices, reverse=True)
    assert len(prices) == len(batches) > 3


def test_half_the_utilization_doubles_the_price_of_a_request() -> None:
    full = served(MODEL, instance="p5.48xlarge").cost
    half = served(MODEL, instance="p5.48xlarge", utilization=0.5).cost

    assert full is not None
    assert half is not None
    assert half.per_request.central == pytest.approx(2 * full.per_request.central)


def test_copies_in_applications_take_as_many_devices_as_applications() -> None:
    both = served(MODEL, instance="g5.48xlarge", colocate=10).colocation

    assert both is not None
    assert both.inside.num_machines == 10
    assert both.shared.num_machines == 1
    assert both.price_ratio == 10


def test_a_machine_for_a_load_is_planned_as_it_would_be_alone() -> None:
    made = served("37B", device="H100", requests_per_s=1.0)

    assert made.memory.fits == "no"
    for one in made.fleets:
        kind, num = one.machine.name, one.machine.num_devices_used
        alone = served(
            "37B",
            instance=kind,
            num_devices=num,
            context_length=768,
            num_sequences=one.prediction.batch,
        )
        assert alone.memory.fits != "no"


def test_a_full_machine_holds_its_batch_in_the_memory_of_the_plan() -> None:
    made = served(MODEL, instance="g5.48xlarge", saas="openai/gpt-4o-mini")
    most = made.batches[-1].prediction.batch

    full = served(MODEL, instance="g5.48xlarge", context_length=768, num_sequences=most)
    assert full.memory.fits == "within margin"


def test_machines_for_a_load_are_the_cheapest_first() -> None:
    made = served(MODEL, device="H100", requests_per_s=5.0, ttft_s=1.0, tpot_s=0.05)

    prices = [one.price.central for one in made.fleets]
    assert prices == sorted(prices)
    assert all(one.prediction.tpot.central <= 0.05 for one in made.fleets)


def test_the_break_even_is_of_a_machine_that_is_full() -> None:
    one = served(MODEL, instance="p5.48xlarge", saas="openai/gpt-4o-mini").break_even
    many = served(
        MODEL, instance="p5.48xlarge", saas="openai/gpt-4o-mini", num_sequences=64
    ).break_even

    assert one is not None
    assert many is not None
    assert one.utilization == many.utilization


def test_an_embedder_is_planned_without_writing() -> None:
    made = served("all-minilm")

    assert made.prediction is None
    assert made.memory.kv_total_bytes == 0


def test_several_devices_are_said_to_be_taken_as_if_they_were_one() -> None:
    assert any("links between them" in one for one in planned(MODEL, instance="p5.48xlarge").notes)
    assert not any("links between them" in one for one in planned(MODEL, device="H100").notes)


def test_training_gpt_3_takes_years_of_a_device() -> None:
    made = planned("gpt-3", instance="p5.48xlarge", train_tokens=300 * 10**9).learning

    assert made is not None
    assert made.training is not None
    assert made.training.gpu_years.central == pytest.approx(25.5, rel=0.02)
    assert made.footprint is not None


def test_fine_tuning_without_tokens_is_planned_in_memory_alone() -> None:
    made = planned("7B", device="H100", finetune="qlora")

    assert made.learning is not None
    assert made.learning.fits == "yes"
    assert made.learning.training is None
    assert any("train_tokens" in note for note in made.notes)


def test_training_that_only_just_fits_is_said_to_be_within_the_margin() -> None:
    asked: dict[str, Any] = {"train_tokens": 10**9, "device": "H100", "context_length": 1024}
    tight, too_much = planned("4.6B", **asked), planned("7B", **asked)

    assert tight.learning is not None
    assert tight.learning.fits == "within margin"
    assert too_much.learning is not None
    assert too_much.learning.fits == "no"
    assert any("as if it did" in note for note in too_much.notes)


def test_recomputing_all_saves_memory_and_takes_a_third_more() -> None:
    asked: dict[str, Any] = {"instance": "p5.48xlarge", "train_tokens": 10**12, "zero": 3}

    kept, again = (planned("70B", recompute=how, **asked).learning for how in ("selective", "full"))

    assert kept is not None
    assert again is not None
    assert again.memory.activations_bytes < kept.memory.activations_bytes
    assert kept.training is not None
    assert again.training is not None
    assert again.training.flops.central == pytest.approx(kept.training.flops.central * 4 / 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 512), st.integers(256, 8192))
def test_sequences_add_cache_and_no_weights(num: int, prompt: int) -> None:
    one = served(MODEL, instance="p5.48xlarge", prompt_tokens=prompt).memory
    more = served(MODEL, instance="p5.48xlarge", prompt_tokens=prompt, num_sequences=num).memory

    assert more.weights_bytes == one.weights_bytes
    assert more.kv_total_bytes == num * one.kv_total_bytes


def test_prices_of_a_day_to_come_are_said_to_be_todays() -> None:
    made = planned(MODEL, instance="p5.48xlarge", as_of="2030-01-01")

    assert any("no price after 2026-11-23" in note for note in made.notes)


def test_a_price_elsewhere_of_a_day_that_nobody_dated_is_noted() -> None:
    made = planned(MODEL, instance="p5.48xlarge", as_of="2023-10-15", saas="openai/gpt-5")

    assert any("on 2023-10-15 is not known" in note for note in made.notes)


def test_today_is_told_and_not_looked_up() -> None:
    assert planned(MODEL).day == datetime.date(2026, 11, 23)
    assert math.isclose(planned(MODEL).site.pue.central, 1.7)
