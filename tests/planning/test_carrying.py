"""What a place carries: as one works it out by hand, and as a cluster of queues does it."""

import random
from statistics import quantiles

import pytest

from canteen.planning.carrying import Carried, carry, most_per_s
from canteen.planning.queueing import Asked, Pace, Service, simulate
from canteen.planning.roofline import Prediction
from tests.planning.plans import served


def predictions() -> tuple[Prediction, Prediction]:
    """One request alone, and as many as the place holds."""
    batches = served("llama3.1:8b", device="L4", quantization="Q4_K_M").batches
    return batches[0].prediction, batches[-1].prediction


def carried(share: float) -> Carried:
    """So much of all that the place can do."""
    alone, full = predictions()
    return carry(share * most_per_s(full).central, 256, alone, full)


def test_where_hardly_anybody_comes_requests_take_as_long_as_alone() -> None:
    alone, _ = predictions()

    found = carried(1e-6)

    assert found.ttft is not None
    assert found.e2e is not None
    assert found.ttft.p95_s == pytest.approx(alone.ttft.central)
    assert found.e2e.p95_s == pytest.approx(alone.ttft.central + 256 * alone.tpot.central)


def test_the_busier_it_is_the_longer_requests_take() -> None:
    found = [carried(share) for share in (0.1, 0.5, 0.8, 0.95, 0.99)]

    times = [one.e2e.p95_s for one in found if one.e2e is not None]
    assert len(times) == len(found)
    assert times == sorted(times)
    assert all(one.e2e.p50_s <= one.e2e.p95_s for one in found if one.e2e is not None)
    assert [one.utilization.central for one in found] == pytest.approx([0.1, 0.5, 0.8, 0.95, 0.99])


def test_what_is_more_than_it_can_do_has_no_time() -> None:
    found = carried(1.2)

    assert found.utilization.central == pytest.approx(1.2)
    assert (found.ttft, found.e2e) == (None, None)


def test_it_is_near_to_what_a_cluster_of_queues_does() -> None:
    alone, full = predictions()
    rate = 0.7 * most_per_s(full).central
    # As the chain has it: each that writes stops to read the prompts of the others.
    slope_s = (full.tpot.central - alone.tpot.central) / (full.batch - 1)
    writing = Pace(alone.tpot.central - slope_s, slope_s + alone.ttft.central / 256)
    service = Service(full.batch, Pace(alone.ttft.central / 512), writing)
    rng, at_s, asked = random.Random(7), 0.0, []
    for _ in range(500):
        at_s += rng.expovariate(rate)
        asked.append(Asked(at_s, 512, 256))

    done = sorted(simulate(asked, 1, service), key=lambda one: one.asked.at_s)
    found = carry(rate, 256, alone, full)

    settled = quantiles([one.e2e_s for one in done[200:]], n=20)
    assert found.e2e is not None
    assert found.e2e.p50_s == pytest.approx(settled[9], rel=0.3)
    assert found.e2e.p95_s == pytest.approx(settled[18], rel=0.3)
