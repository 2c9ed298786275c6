"""Training: the estimates that others published, and what scales with what."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.core.units import exact
from canteen.planning import training
from canteen.planning.roofline import Attention, Reading
from canteen.planning.training import Devices

GPT_3 = Reading(175e9, 350e9, (Attention(4 * 96 * 12288, 0.0),))
V100 = Devices(
    num=1024,
    peak=exact(28e12, "FLOP/s"),
    power_max=exact(300, "W"),
    price=exact(1.5, "USD/h"),
    flops_share=exact(1),
    power_share=exact(1),
    plug_factor=exact(1),
    restarts=exact(1.2),
)
H100 = training.devices(1024, exact(989e12, "FLOP/s"), exact(700, "W"), exact(98.32 / 8, "USD/h"))


def test_lambdas_estimate_of_gpt_3_comes_out() -> None:
    run = training.train(exact(3.14e23, "FLOP"), V100)

    assert run.gpu_years.central == pytest.approx(355, rel=0.02)
    assert run.cost.central == pytest.approx(4.6e6, rel=0.02)


def test_six_flops_a_parameter_and_token() -> None:
    assert training.training_flops(GPT_3, 300 * 10**9).central == pytest.approx(3.15e23)


def test_gpt_3_on_h100_takes_a_tenth_of_the_years() -> None:
    run = training.train(training.training_flops(GPT_3, 300 * 10**9), H100)

    assert run.device_time.central == pytest.approx(221_000, rel=0.01)
    assert run.cost.central == pytest.approx(2.7e6, rel=0.02)
    assert run.device_time.low < run.device_time.central < run.device_time.high


def test_attention_is_counted_for_the_length_of_the_sequences() -> None:
    plain = training.training_flops(GPT_3, 10**9)
    whole = training.training_flops(GPT_3, 10**9, 2048)

    assert whole.central - plain.central == pytest.approx(6 * 96 * 12288 * 2048 * 1e9)


def test_lora_saves_a_third_and_recomputing_costs_one() -> None:
    full = training.training_flops(GPT_3, 10**9)

    lora = training.training_flops(GPT_3, 10**9, method="lora")
    recomputed = training.training_flops(GPT_3, 10**9, recomputes=True)

    assert lora.central == pytest.approx(full.central * 4 / 6)
    assert recomputed.central == pytest.approx(full.central * 8 / 6)


def test_the_calendar_has_restarts_and_the_device_time_has_not() -> None:
    run = training.train(exact(3.14e23, "FLOP"), V100)

    assert run.calendar_time.central * 24 == pytest.approx(run.device_time.central / 1024 * 1.2)


@pytest.mark.parametrize("num_tokens", [0, -1])
def test_training_on_nothing_is_refused(num_tokens: int) -> None:
    with pytest.raises(InvalidRequest, match="token"):
        training.training_flops(GPT_3, num_tokens)


def test_training_on_no_device_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="device"):
        training.train(exact(1e20, "FLOP"), replace(H100, num=0))


@given(st.integers(1, 10**13), st.integers(1, 10**4), st.integers(2, 100))
def test_more_devices_take_less_time_and_the_same_money(
    num_tokens: int, num: int, times: int
) -> None:
    flops = training.training_flops(GPT_3, num_tokens, 2048)

    few = training.train(flops, replace(H100, num=num))
    many = training.train(flops, replace(H100, num=num * times))

    assert many.calendar_time.central * times == pytest.approx(few.calendar_time.central)
    assert many.cost == few.cost
    assert many.energy == few.energy
