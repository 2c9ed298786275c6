"""Somebody else's tokens: prices of a day, and a verdict in plain words."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.core.units import Quantity, exact
from canteen.planning import saas
from canteen.planning.saas import Offer

DAY = datetime.date(2026, 11, 1)


def own(low: float, central: float, high: float) -> Quantity:
    return Quantity(central, low, high, "USD")


def there(usd: float = 0.01) -> Offer:
    return Offer("openai", "gpt-4o", exact(usd, "USD"))


def test_a_typical_request_is_priced_from_the_list() -> None:
    found = saas.offer("openai/gpt-4o", 512, 256, DAY)

    assert (found.provider, found.model) == ("openai", "gpt-4o")
    assert found.cost.central == pytest.approx((512 * 2.5 + 256 * 10) / 1e6)


@pytest.mark.parametrize("day", [DAY, datetime.date(2020, 1, 1), datetime.date(2030, 1, 1)])
def test_a_price_names_its_list_and_the_day_of_the_list(day: datetime.date) -> None:
    found = saas.offer("openai/gpt-4o", 512, 256, day)
    (told,) = found.cost.inputs

    assert "openai.com" in told.source
    assert told.as_of not in ("2020-01-01", "2030-01-01")
    assert datetime.date.fromisoformat(told.as_of).year >= 2026
    assert f"on {day} is not known" in found.note
    assert told.as_of in found.note


@pytest.mark.parametrize(
    ("day", "usd", "since"),
    [
        (datetime.date(2025, 6, 10), (512 * 2 + 256 * 8) / 1e6, "2025-06-10"),
        (datetime.date(2026, 1, 1), (512 * 2 + 256 * 8) / 1e6, "2025-06-10"),
    ],
)
def test_a_price_that_the_list_dates_is_that_of_the_day(
    day: datetime.date, usd: float, since: str
) -> None:
    found = saas.offer("openai/o3", 512, 256, day)

    assert found.cost.central == pytest.approx(usd)
    assert found.cost.inputs[0].as_of == since
    assert not found.note


def test_a_day_before_all_dated_prices_is_told_until_when_the_price_held() -> None:
    found = saas.offer("openai/o3", 512, 256, datetime.date(2025, 6, 9))

    assert found.cost.central == pytest.approx((512 * 10 + 256 * 40) / 1e6)
    assert "held until 2025-06-10" in found.note


def test_cached_tokens_cost_less() -> None:
    fresh = saas.offer("openai/gpt-4o", 512, 256, DAY)
    cached = saas.offer("openai/gpt-4o", 512, 256, DAY, cached=512)

    assert cached.cost.central < fresh.cost.central


def test_the_provider_may_be_left_out() -> None:
    assert saas.offer("gpt-4o", 512, 256, DAY).provider == "openai"


def test_an_unknown_model_lists_the_nearest_names() -> None:
    with pytest.raises(InvalidRequest, match="gpt-4o"):
        saas.offer("openai/gtp-4o", 512, 256, DAY)


def test_a_name_like_no_other_lists_the_providers() -> None:
    with pytest.raises(InvalidRequest, match="openai"):
        saas.offer("\x00", 512, 256, DAY)


def test_self_hosting_that_never_wins_is_said_plainly() -> None:
    found = saas.break_even(own(0.02, 0.03, 0.05), there())

    assert found.utilization.low > 1
    assert found.verdict.startswith("Self-hosting never wins on price")


@pytest.mark.parametrize(
    ("low", "central", "high", "words"),
    [
        (0.008, 0.012, 0.02, "hardly wins"),
        (0.004, 0.008, 0.02, "may never be"),
        (0.001, 0.002, 0.004, "above 20% of full load [10%-40%]"),
    ],
)
def test_a_verdict_says_how_sure_it_is(low: float, central: float, high: float, words: str) -> None:
    assert words in saas.break_even(own(low, central, high), there()).verdict


@given(st.floats(1e-6, 1), st.floats(1e-6, 1), st.floats(1, 100))
def test_a_dearer_offer_breaks_even_earlier(cost: float, usd: float, times: float) -> None:
    request = exact(cost, "USD")

    cheap = saas.break_even(request, there(usd)).utilization
    dear = saas.break_even(request, there(usd * times)).utilization

    assert dear.central <= cheap.central
