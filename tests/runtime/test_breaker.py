"""A circuit breaker opens on failures, and closes when a probe goes well."""

import pytest

from canteen.core.errors import Overloaded
from canteen.runtime.breaker import FEWEST, FIRST_OPEN_S, LONGEST_OPEN_S, WINDOW_S, Breaker


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def opened() -> tuple[Breaker, Clock]:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(FEWEST):
        breaker.told(is_well=False)
    return breaker, clock


def test_a_few_failures_are_nothing() -> None:
    breaker = Breaker()
    for _ in range(FEWEST - 1):
        breaker.told(is_well=False)

    breaker.check()

    assert breaker.state == "closed"


def test_it_opens_where_half_have_failed_and_tells_when_to_come_back() -> None:
    breaker, clock = opened()
    clock.now_s = 2.0

    with pytest.raises(Overloaded) as caught:
        breaker.check()

    assert breaker.state == "open"
    assert caught.value.code == "circuit_open"
    assert caught.value.retry_after_s == FIRST_OPEN_S - 2.0


def test_more_that_went_well_keep_it_closed() -> None:
    breaker = Breaker()
    for number in range(60):
        breaker.told(is_well=number % 3 > 0)

    assert breaker.state == "closed"


def test_what_failed_long_ago_is_forgotten() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(FEWEST - 1):
        breaker.told(is_well=False)
    clock.now_s = WINDOW_S + 1

    breaker.told(is_well=False)

    assert breaker.state == "closed"


def test_one_probe_is_made_at_a_time_and_only_when_it_is_time() -> None:
    breaker, clock = opened()
    assert not breaker.begins_probe()
    clock.now_s = FIRST_OPEN_S

    assert breaker.state == "half-open"
    assert breaker.begins_probe()
    assert not breaker.begins_probe()
    with pytest.raises(Overloaded):
        breaker.check()


def test_a_probe_that_goes_well_closes_it() -> None:
    breaker, clock = opened()
    clock.now_s = FIRST_OPEN_S
    breaker.begins_probe()

    breaker.probed(is_well=True)

    breaker.check()
    assert breaker.state == "closed"


def test_each_probe_that_fails_doubles_the_time_up_to_a_limit() -> None:
    breaker, clock = opened()
    times_s = []
    for _ in range(8):
        times_s.append(breaker.left_s)
        clock.now_s += breaker.left_s
        breaker.begins_probe()
        breaker.probed(is_well=False)

    assert times_s[:3] == [FIRST_OPEN_S, 2 * FIRST_OPEN_S, 4 * FIRST_OPEN_S]
    assert times_s[-1] == LONGEST_OPEN_S
