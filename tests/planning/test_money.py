"""Money: what an hour buys, used or idle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.core.units import exact
from canteen.planning import money
from canteen.planning.money import Owned

P5 = exact(55.04, "USD/h")
shares = st.floats(0.01, 1)
speeds = st.floats(1, 1e6)


def test_a_million_tokens_cost_the_hours_that_they_take() -> None:
    cost = money.per_mtok(P5, exact(1000, "token/s"), 0.5)

    assert cost.unit == "USD/Mtoken"
    assert cost.central == pytest.approx(55.04 / (3600 * 1000 * 0.5) * 1e6)


@pytest.mark.parametrize("utilization", [0.0, -0.5, 1.01, float("nan")])
def test_a_utilization_that_is_none_is_refused(utilization: float) -> None:
    with pytest.raises(InvalidRequest, match="utilization"):
        money.per_mtok(P5, exact(1, "token/s"), utilization)


def test_owned_hardware_costs_its_price_its_power_and_its_upkeep() -> None:
    owned = Owned(
        capex=exact(8766 * 4, "USD"),
        life=exact(4, "year"),
        power=exact(2, "kW"),
        pue=exact(1.5),
        electricity=exact(0.2, "USD/kWh"),
        upkeep=exact(0.3, "USD/h"),
    )

    assert money.owned_price(owned).to("USD/h").central == pytest.approx(1 + 0.6 + 0.3)


@given(speeds, shares)
def test_tokens_cost_no_more_at_a_higher_utilization(speed: float, utilization: float) -> None:
    some = money.per_mtok(P5, exact(speed, "token/s"), utilization)
    full = money.per_mtok(P5, exact(speed, "token/s"), 1.0)

    assert full.central <= some.central


@given(st.floats(0.001, 1e5), shares)
def test_used_and_idle_time_make_up_the_price(seconds: float, utilization: float) -> None:
    used = money.per_request(P5, exact(seconds, "s"), utilization)
    alone = money.per_request(P5, exact(seconds, "s"))

    assert used.central * utilization == pytest.approx(alone.central)
    assert money.idle_price(P5, utilization).central == pytest.approx(55.04 * (1 - utilization))
