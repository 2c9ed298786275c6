"""The model of a cluster: what can be worked out by hand, and what it is fitted to."""

import random
from statistics import quantiles

import pytest

from canteen.planning.queueing import Answered, Asked, Pace, Service, fitted, simulate

SERVICE = Service(2, Pace(0.01), Pace(0.1), overhead_s=0.05)


def poisson(rate_hz: float, number: int, seed: int = 1) -> list[Asked]:
    """Requests that come at random, of random lengths."""
    rng, at_s, asked = random.Random(seed), 0.0, []
    for _ in range(number):
        at_s += rng.expovariate(rate_hz)
        asked.append(Asked(at_s, rng.randint(10, 100), rng.randint(5, 30)))
    return asked


def by_arrival(answered: list[Answered]) -> list[Answered]:
    return sorted(answered, key=lambda one: one.asked.at_s)


def test_one_request_takes_what_it_reads_and_writes() -> None:
    (one,) = simulate([Asked(3.0, 100, 20)], 1, SERVICE)

    assert one.wait_s == 0
    assert one.ttft_s == pytest.approx(1.0 + 0.05)
    assert one.e2e_s == pytest.approx(1.0 + 2.0 + 0.05)


def test_who_finds_no_place_waits_for_the_first_that_is_free() -> None:
    asked = [Asked(0.0, 0, 10), Asked(0.0, 0, 20), Asked(0.5, 0, 10)]

    first, _, last = by_arrival(simulate(asked, 1, SERVICE))

    assert last.wait_s == pytest.approx(first.e2e_s - 0.05 - 0.5)


def test_a_fuller_batch_is_slower_for_all_in_it() -> None:
    service = Service(4, Pace(0.0), Pace(0.1, per_sequence_s=0.1))

    one, other = simulate([Asked(0.0, 0, 10), Asked(0.0, 0, 10)], 1, service)

    assert one.e2e_s == other.e2e_s == pytest.approx(10 * 0.3)


def test_requests_go_to_the_less_busy_replica() -> None:
    answered = simulate([Asked(0.0, 0, 10), Asked(0.0, 0, 10)], 2, Service(2, Pace(0), Pace(0, 1)))

    assert [one.e2e_s for one in answered] == [pytest.approx(10.0)] * 2


def test_every_request_is_answered_once_whatever_the_load() -> None:
    asked = poisson(20, 500)

    answered = simulate(asked, 3, SERVICE)

    assert [one.asked for one in by_arrival(answered)] == asked


def test_what_was_measured_at_one_load_predicts_another() -> None:
    truth = Service(8, Pace(0.004), Pace(0.05, 0.004), 0.02)
    seen = simulate(poisson(4, 400), 2, truth, seed=1)
    busier = poisson(8, 400, seed=2)

    predicted = simulate(busier, 2, fitted(seen, 2, 8))

    true = simulate(busier, 2, truth)
    for p in (49, 94):
        is_so, is_said = (
            quantiles([one.e2e_s for one in them], n=100)[p] for them in (true, predicted)
        )
        assert is_said == pytest.approx(is_so, rel=0.15)


def test_more_replicas_wait_less_at_the_same_load_of_each() -> None:
    few, many = (simulate(poisson(0.75 * n, 400 * n), n, SERVICE) for n in (1, 20))

    def mean_wait_s(answered: list[Answered]) -> float:
        return sum(one.wait_s for one in answered) / len(answered)

    assert mean_wait_s(many) < mean_wait_s(few) / 5
