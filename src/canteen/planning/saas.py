"""Somebody else's tokens: what a request costs there, and when serving it oneself is cheaper.

Prices come from genai-prices' list, which is part of that package: nothing is fetched.
"""

import datetime
import difflib
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.core.units import Input, Quantity, sourced

_CHECKED = re.compile(r"(?:verified|checked)[^.]{0,20}?(20\d\d-\d\d-\d\d)")

# Prices are told of so many tokens, which no provider asks more for.
_PRICED = 1000


@dataclass(frozen=True, slots=True)
class Offer:
    """A model for rent by the token; `cost` is of one request, in USD. `note` says which day it is
    of, where it is not known that it held on the day that was asked for."""

    provider: str
    model: str
    cost: Quantity
    note: str = ""


@dataclass(frozen=True, slots=True)
class BreakEven:
    """The share of full load above which self-hosting is cheaper, and that in words. Above 1 it
    is so at no load."""

    utilization: Quantity
    verdict: str


def offer(name: str, prompt: int, completion: int, on: datetime.date, cached: int = 0) -> Offer:
    """One request of these lengths to `provider/model` or `model`, at noon UTC of a day.

    A typical request is priced as a whole, since long prompts, cached ones and hours of the day
    may have prices of their own. The list dates few prices; another is of the day that the list
    was checked, whatever day is asked for. Raises InvalidRequest for a name that the list has not,
    and for one that it has without a price.
    """
    import genai_prices

    provider, model = _split(name)
    usage = genai_prices.Usage(
        input_tokens=prompt, cache_read_tokens=cached, output_tokens=completion
    )
    noon = datetime.datetime.combine(on, datetime.time(12), datetime.UTC)
    try:
        found = genai_prices.calc_price(
            usage, model, provider_id=provider, genai_request_timestamp=noon
        )
    except LookupError:
        raise _unknown(name, provider, model) from None
    if not found.total_price:
        raise InvalidRequest(f"no price of '{name}' is known; name another model", param="saas")
    usd, named = float(found.total_price), f"{found.provider.id}/{found.model.id}"
    since = _since(found.model.prices, on)
    told = Input(
        name=f"{named}, {prompt}+{completion} tokens",
        value=usd,
        low=usd,
        high=usd,
        unit="USD",
        source=", ".join(found.provider.pricing_urls or ())
        + f" as in genai-prices {genai_prices.__version__}",
        as_of=since.isoformat() if since else _checked(),
        method="price list",
    )
    note = "" if since else _undated(named, found.model.prices, on)
    return Offer(found.provider.id, found.model.id, sourced(told, "D"), note)


def token_prices(
    name: str, on: datetime.date, base_url: str | None = None
) -> tuple[Quantity, Quantity, Quantity]:
    """USD for a token that is read, read from a cache, and written, of `provider/model`, or of
    `model` as it is called at a base URL. Raises InvalidRequest for what the list has not.

    What is dearer in long prompts or at some hours of the day is told at its usual price.
    """
    import genai_prices

    provider, model = (None, name) if base_url else _split(name)
    where: dict[str, Any] = (
        {"provider_api_url": base_url} if base_url else {"provider_id": provider}
    )
    noon = datetime.datetime.combine(on, datetime.time(12), datetime.UTC)

    def price(what: str, **tokens: int) -> Quantity:
        found = genai_prices.calc_price(
            genai_prices.Usage(**tokens), model, genai_request_timestamp=noon, **where
        )
        usd = float(found.total_price) / _PRICED
        source = f"genai-prices {genai_prices.__version__}"
        named = f"{found.provider.id}/{found.model.id}, a token {what}"
        return sourced(Input(named, usd, usd, usd, "USD", source, _checked(), "price list"), "D")

    try:
        return (
            price("read", input_tokens=_PRICED),
            price("read from a cache", input_tokens=_PRICED, cache_read_tokens=_PRICED),
            price("written", output_tokens=_PRICED),
        )
    except LookupError:
        raise _unknown(name, provider, model) from None


def break_even(own_request: Quantity, there: Offer) -> BreakEven:
    """`own_request` is what a request costs here at full load, in USD.

    The same as price per hour over the price there of all tokens made in an hour at full load.
    """
    utilization = own_request.ratio(there.cost)
    return BreakEven(utilization, _verdict(utilization, f"{there.provider}/{there.model}"))


def _since(prices: Any, on: datetime.date) -> datetime.date | None:
    """The day from which the price of a day holds; None where the list does not tell it."""
    return max((day for day in _starts(prices) if day <= on), default=None)


def _undated(named: str, prices: Any, on: datetime.date) -> str:
    """That it is not known whether a price held on a day, in words."""
    if starts := _starts(prices):
        return (
            f"what {named} cost on {on} is not known, nor whether it was offered; the price is its "
            f"first in the list, which held until {starts[0]}"
        )
    return (
        f"what {named} cost on {on} is not known; the price is that of the list, last checked on "
        f"{_checked()}"
    )


def _starts(prices: Any) -> list[datetime.date]:
    """The days from which prices of a model hold, those that have one."""
    told = prices if isinstance(prices, list) else []
    starts = (getattr(one.constraint, "start_date", None) for one in told)
    return sorted(day for day in starts if day is not None)


@cache
def _checked() -> str:
    """The last day on which somebody checked a price of the list, by its own comments."""
    from genai_prices.data_snapshot import get_snapshot

    comments = (
        comment
        for provider in get_snapshot().providers
        for comment in (provider.price_comments, *(one.price_comments for one in provider.models))
    )
    days = (day for told in comments for day in _CHECKED.findall(told or ""))
    return max(days, default="a day that it does not tell")


def _verdict(utilization: Quantity, there: str) -> str:
    interval = f"{utilization.central:.2g} [{utilization.low:.2g}-{utilization.high:.2g}]"
    if utilization.low > 1:
        return (
            f"Self-hosting never wins on price: at full load a request costs {interval} times "
            f"what {there} asks."
        )
    if utilization.central > 1:
        return (
            f"Self-hosting hardly wins on price: at full load a request costs {interval} times "
            f"what {there} asks, so it wins only if this host is faster than expected."
        )
    wins = f"Self-hosting is cheaper than {there} above {utilization.central:.0%} of full load"
    if utilization.high > 1:
        return f"{wins} [{utilization.low:.0%}-never]; within the uncertainty it may never be."
    return f"{wins} [{utilization.low:.0%}-{utilization.high:.0%}]."


def _split(name: str) -> tuple[str | None, str]:
    provider, slash, model = name.partition("/")
    return (provider, model) if slash and provider in _models() else (None, name)


def _unknown(name: str, provider: str | None, model: str) -> InvalidRequest:
    known = _models()
    names = known.get(provider or "") or [one for models in known.values() for one in models]
    near = difflib.get_close_matches(model, names, 5, 0.4) or sorted(known)
    return InvalidRequest(
        f"no price of '{name}' is known; the nearest names are {', '.join(dict.fromkeys(near))}",
        param="saas",
    )


def _models() -> dict[str, list[str]]:
    """Models of each provider in the list."""
    from genai_prices.data_snapshot import get_snapshot

    return {one.id: [model.id for model in one.models] for one in get_snapshot().providers}
