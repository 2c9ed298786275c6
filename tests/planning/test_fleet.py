"""Fleets: enough machines for a load, the cheapest of them, and what sharing saves."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.core.units import exact
from canteen.planning import fleet, roofline
from canteen.planning.fleet import Fleet, Load, Machine, Unfit
from canteen.planning.roofline import Attention, Host, Reading

READING = Reading(8.03e9, 15.0e9, (Attention(4 * 32 * 4096, 131_072),))
HOST = Host(
    exact(3.35e12, "B/s"),
    exact(989e12, "FLOP/s"),
    exact(700, "W"),
    exact(1),
    roofline.prior("H100", has_experts=False),
)
P5 = Machine("p5.48xlarge", exact(55.04, "USD/h"), 8, 1, HOST, max_sequences=64)
LOAD = Load(requests_per_s=10, prompt_tokens=512, completion_tokens=256, utilization=0.7)

loads = st.builds(
    Load,
    st.floats(0.01, 1e4),
    st.integers(1, 8192),
    st.integers(1, 4096),
    st.floats(0.1, 1),
)


def sized(machine: Machine, load: Load) -> Fleet:
    found = fleet.fleet(READING, machine, load)
    assert isinstance(found, Fleet)
    return found


def test_a_fleet_has_as_many_replicas_as_the_load_keeps_busy() -> None:
    found = sized(P5, replace(LOAD, requests_per_s=1000))

    seconds = found.prediction.device_time.central
    assert found.num_replicas == math.ceil(1000 * seconds / 0.7)
    assert found.num_machines == math.ceil(found.num_replicas / 8)
    assert found.price.central == pytest.approx(55.04 * found.num_machines)


def test_a_limit_on_the_time_per_token_makes_batches_smaller() -> None:
    free = sized(P5, LOAD)
    limited = sized(P5, replace(LOAD, tpot_s=0.008))

    assert free.prediction.batch == 64
    assert 1 <= limited.prediction.batch < 64
    assert limited.prediction.tpot.central <= 0.008


@pytest.mark.parametrize(
    ("load", "reason"),
    [(replace(LOAD, ttft_s=1e-6), "TTFT"), (replace(LOAD, tpot_s=1e-6), "TPOT")],
)
def test_a_machine_that_is_too_slow_says_so(load: Load, reason: str) -> None:
    found = fleet.fleet(READING, P5, load)

    assert isinstance(found, Unfit)
    assert reason in found.reason


def test_a_machine_without_memory_for_one_sequence_says_so() -> None:
    found = fleet.fleet(READING, replace(P5, max_sequences=0), LOAD)

    assert isinstance(found, Unfit)
    assert "memory" in found.reason


def test_the_cheapest_comes_first_and_the_unfit_are_told() -> None:
    half = replace(P5, name="half", price=exact(27, "USD/h"))
    small = replace(P5, name="small", max_sequences=0)

    fleets, unfit = fleet.cheapest(READING, [P5, small, half], LOAD)

    assert [one.machine.name for one in fleets] == ["half", "p5.48xlarge"]
    assert [one.machine.name for one in unfit] == ["small"]


def test_a_copy_in_each_application_stands_idle() -> None:
    found = fleet.colocate(READING, P5, LOAD, 40)

    assert found.inside.num_devices == 40
    assert found.shared.num_devices < 40
    assert found.inside.utilization.central < found.shared.utilization.central
    assert found.price_ratio == pytest.approx(5 / found.shared.num_machines)


def test_sharing_what_cannot_be_served_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="memory"):
        fleet.colocate(READING, replace(P5, max_sequences=0), LOAD, 2)


@given(loads, st.integers(1, 100))
def test_sharing_never_takes_more(load: Load, num_applications: int) -> None:
    found = fleet.colocate(READING, P5, load, num_applications)

    assert found.shared.num_replicas <= found.inside.num_replicas
    assert found.shared.price.central <= found.inside.price.central
    assert found.inside.num_replicas % num_applications == 0


@given(loads, st.floats(1, 10))
def test_a_larger_load_takes_no_fewer_machines(load: Load, times: float) -> None:
    larger = replace(load, requests_per_s=load.requests_per_s * times)

    assert sized(P5, load).num_replicas <= sized(P5, larger).num_replicas


@given(loads)
def test_a_fleet_is_used_no_more_than_was_asked(load: Load) -> None:
    assert sized(P5, load).utilization.central <= load.utilization * (1 + 1e-9)
