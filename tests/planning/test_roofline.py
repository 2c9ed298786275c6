"""Rooflines: the published example, the interval, and what must never go the wrong way."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.core.units import Quantity, exact
from canteen.planning import roofline
from canteen.planning.roofline import Attention, Constants, Host, Reading

IDEAL = Constants(
    bandwidth_share=exact(1),
    flops_share=exact(1),
    power_share=exact(1),
    step_s=exact(0, "s"),
    energy_bias=exact(1),
)


PRIOR = roofline.prior("H100", has_experts=False)


def host(bandwidth: float = 3.35e12, peak: float = 989e12, constants: Constants = IDEAL) -> Host:
    return Host(
        exact(bandwidth, "B/s"), exact(peak, "FLOP/s"), exact(700, "W"), exact(1), constants
    )


# Llama-3.1-8B in 16 bits: 32 layers of 32 heads of 128, 8 of them in the cache.
LLAMA = Reading(
    num_active_parameters=8.03e9,
    shared_bytes=15.0e9,
    attention=(Attention(4 * 32 * 4096, 131_072),),
)
MIXTRAL = Reading(
    num_active_parameters=12.9e9,
    shared_bytes=3.2e9,
    attention=(Attention(4 * 32 * 4096, 131_072),),
    expert_bytes=90e9,
    expert_share=2 / 8,
)

batches = st.integers(1, 512)
lengths = st.integers(1, 100_000)
hosts = st.builds(
    host, st.floats(1e10, 1e14), st.floats(1e11, 1e16), st.sampled_from([IDEAL, PRIOR])
)
readings = st.sampled_from([LLAMA, MIXTRAL])


def test_epochs_estimate_of_a_request_comes_out() -> None:
    constants = replace(IDEAL, flops_share=exact(0.10), power_share=exact(0.7))
    epoch = replace(host(constants=constants), power_max=exact(1500, "W"))
    demand = roofline.Demand(flops=500 * 2 * 100e9)

    assert roofline.duration(demand, epoch).to("s").central == pytest.approx(1.01, rel=0.01)
    assert roofline.energy(demand, epoch).to("Wh").central == pytest.approx(0.3, rel=0.05)


def test_a_decode_step_reads_the_weights_once_and_each_cache() -> None:
    step = roofline.decode_step(LLAMA, 16, 1000)

    assert step.read_bytes == 15.0e9 + 16 * 1000 * 131_072
    assert step.flops == 16 * (2 * 8.03e9 + 4 * 32 * 4096 * 1000)


def test_a_prompt_costs_half_a_square_of_attention() -> None:
    assert LLAMA.prompt_flops(1000) == 2 * 8.03e9 * 1000 + 2 * 32 * 4096 * 1000**2


def test_a_prompt_of_one_token_still_reads_the_weights() -> None:
    assert roofline.duration(roofline.prefill(LLAMA, host(), 1), host()).central == (
        pytest.approx(15.0e9 / 3.35e12)
    )


def test_a_cached_prefix_costs_nothing() -> None:
    assert LLAMA.prompt_flops(1000, 1000) == 0


def test_one_sequence_reads_the_experts_of_one_token() -> None:
    assert MIXTRAL.weights_read(1) == pytest.approx(3.2e9 + 90e9 * 2 / 8)


def test_a_window_bounds_what_a_token_sees() -> None:
    windowed = replace(LLAMA, attention=(replace(LLAMA.attention[0], window=1024),))

    assert windowed.kv_read(100_000) == 1024 * 131_072
    assert windowed.prompt_flops(512) == LLAMA.prompt_flops(512)
    assert windowed.prompt_flops(8192) < LLAMA.prompt_flops(8192)


def test_a_prior_tells_its_width_and_its_sources() -> None:
    tpot = roofline.predict(LLAMA, host(constants=PRIOR), 512, 256).tpot

    assert tpot.low < tpot.central < tpot.high
    assert {one.name for one in tpot.inputs} == {
        "share of bandwidth",
        "inference MFU",
    }
    assert all(one.source and one.as_of for one in tpot.inputs)


def test_modelled_energy_is_as_wide_as_the_budget_says() -> None:
    energy = roofline.predict(LLAMA, host(constants=PRIOR), 512, 256).energy

    assert 1.35 < energy.high / energy.central < 1.55
    assert energy.boundary.energy == "it"


def test_prefill_and_decode_share_their_power_and_so_their_error() -> None:
    some = host(constants=PRIOR)
    both = roofline.predict(LLAMA, some, 2000, 100, 16).energy
    alone = roofline.energy(roofline.prefill(LLAMA, some, 2000), some)

    assert both.high / both.central == pytest.approx(alone.high / alone.central)
    assert both.low / both.central == pytest.approx(alone.low / alone.central)


def test_experts_and_b200_have_corrections_of_their_own() -> None:
    assert roofline.prior("H100", has_experts=False).energy_bias.central == 1.1
    assert roofline.prior("B200", has_experts=False).energy_bias.central == 1.45
    assert roofline.prior("H100", has_experts=True).energy_bias.central == 1.75


def test_weights_of_4_bits_are_computed_in_16() -> None:
    peaks = {"bf16": exact(989e12, "FLOP/s"), "fp8": exact(1979e12, "FLOP/s")}

    assert roofline.peak_of(peaks, "Q4_K_M").central == 989e12
    assert roofline.peak_of(peaks, "fp8").central == 1979e12


def test_a_device_without_peaks_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no peak"):
        roofline.peak_of({}, "bf16")


@given(readings, hosts, lengths, lengths, batches, st.floats(1, 10))
def test_more_bandwidth_is_not_slower(
    reading: Reading, slow: Host, prompt: int, completion: int, batch: int, times: float
) -> None:
    fast = replace(slow, bandwidth=slow.bandwidth * times)

    before = roofline.predict(reading, slow, prompt, completion, batch)
    after = roofline.predict(reading, fast, prompt, completion, batch)

    assert not_above(after.tpot, before.tpot)
    assert not_above(after.ttft, before.ttft)
    assert not_above(after.device_time, before.device_time)


@given(readings, hosts, lengths, lengths, batches)
def test_a_larger_batch_costs_a_request_no_more(
    reading: Reading, some: Host, prompt: int, completion: int, batch: int
) -> None:
    alone = roofline.predict(reading, some, prompt, completion, batch)
    shared = roofline.predict(reading, some, prompt, completion, batch + 1)

    assert not_above(shared.device_time, alone.device_time)
    assert not_above(shared.energy, alone.energy)
    assert not_above(alone.tpot, shared.tpot)
    assert reading.weights_read(batch + 1) / (batch + 1) <= reading.weights_read(batch) / batch


@given(readings, hosts, lengths, batches)
def test_a_longer_context_is_not_faster(
    reading: Reading, some: Host, context: int, batch: int
) -> None:
    shorter = roofline.duration(roofline.decode_step(reading, batch, context), some)
    longer = roofline.duration(roofline.decode_step(reading, batch, context + 1), some)

    assert not_above(shorter, longer)


@given(readings, hosts, lengths, lengths, st.integers(2, 8))
def test_devices_together_divide_the_time_and_keep_the_energy(
    reading: Reading, one: Host, prompt: int, completion: int, num: int
) -> None:
    many = Host(
        one.bandwidth * num, one.peak * num, one.power_max * num, one.plug_factor, one.constants
    )

    alone = roofline.predict(reading, one, prompt, completion)
    together = roofline.predict(reading, many, prompt, completion)

    assert together.tpot.central == pytest.approx(alone.tpot.central / num)
    assert together.energy.central == pytest.approx(alone.energy.central)


def not_above(one: Quantity, other: Quantity) -> bool:
    """Up to the last bits."""
    return one.central <= other.central * (1 + 1e-12)
