"""What was refused is not asked again at once, and others are not held up by it."""

from canteen.api.background.held import LEAST_S, Held
from tests.runtime.deferred.clock import Clock


def test_a_model_is_left_alone_for_as_long_as_it_says() -> None:
    clock = Clock()
    held = Held(clock)
    held.hold_model("busy", 5.0)

    assert held.models() == ["busy"]
    clock.now_s += 6
    assert held.models() == []


def test_of_a_caller_who_may_have_few_at_once_no_more_are_asked() -> None:
    held = Held(Clock())
    held.limit_caller("me", 3, 1.0)
    held.limit_caller("me", 2, 1.0)

    assert held.callers() == {"me": 2}


def test_a_caller_whose_places_are_taken_elsewhere_is_left_alone_for_a_while() -> None:
    clock = Clock()
    held = Held(clock)
    held.limit_caller("me", 0, 0.1)

    assert held.callers() == {"me": 0}
    clock.now_s += LEAST_S + 0.1
    assert held.callers() == {}


def test_a_long_wait_is_a_wait_for_all_of_a_callers() -> None:
    clock = Clock()
    held = Held(clock)
    held.limit_caller("me", 5, 40.0)
    held.limit_caller("me", 5, 1.0)

    assert held.callers() == {"me": 0}
    clock.now_s += 41
    assert held.callers() == {}
