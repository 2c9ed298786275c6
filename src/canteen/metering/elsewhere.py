"""Tokens of somebody else's service: what they are held to have eaten and drunk, and their price.

Nothing of it is on a meter of ours, so it stands beside a request's charge, never in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from canteen.core.footprint import Charge, Elsewhere, Footprint, TokenRates
from canteen.core.generation import Usage
from canteen.core.units import Boundary, Quantity, total
from canteen.factors.places import site
from canteen.factors.table import load
from canteen.metering.rates import Price, rates
from canteen.metering.receipt import provenance

_AT_PLUG = Boundary(energy="it", time="active")
_ACTIVE = Boundary(time="active")
METER = "modelled, an energy per token of a service that does not tell its own"


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """USD for a token that is read, read from a cache, and written; None where it is not known."""

    read: Quantity | None = None
    cached: Quantity | None = None
    written: Quantity | None = None


def token_rates(prices: TokenPrices) -> TokenRates:
    """What tokens mean that are read and written nobody knows where."""
    known = load("upstream").quantities()
    written = known["energy of a token written elsewhere, at the plug"].bounded(_AT_PLUG)
    slopes = rates(written, site("", ""), Price())
    return TokenRates(
        energy=_modelled(slopes.energy),
        water_site=_modelled(slopes.water_site),
        water_source=_modelled(slopes.water_source),
        carbon_operational=_modelled(slopes.carbon_operational),
        read_share=known["a token read elsewhere over one written"].central,
        price_read=prices.read,
        price_cached=prices.cached,
        price_written=prices.written,
    )


def footprint(part: Elsewhere) -> Footprint:
    """What tokens elsewhere took. A prompt that was in a cache took nothing but its price."""
    read, rates_of = part.prompt_tokens - part.cached_tokens, part.rates
    tokens = part.completion_tokens + rates_of.read_share * read
    told = (
        (rates_of.price_read, read),
        (rates_of.price_cached, part.cached_tokens),
        (rates_of.price_written, part.completion_tokens),
    )
    asked = [(price, number) for price, number in told if number]
    is_known = all(price is not None for price, _ in asked)
    costs = tuple(price * number for price, number in asked if price is not None)
    return Footprint(
        energy=rates_of.energy * tokens,
        water_site=rates_of.water_site * tokens,
        water_source=rates_of.water_source * tokens,
        carbon_operational=rates_of.carbon_operational * tokens,
        cost=total(costs).bounded(_ACTIVE) if costs and is_known else None,
    )


def with_elsewhere(own: Footprint, charge: Charge, parts: Sequence[Elsewhere]) -> Footprint:
    """A request's footprint, with what was done for it elsewhere."""
    if not parts:
        return own
    told = [footprint(part) for part in parts]
    if charge.energy_uj or charge.device_us:
        told.insert(0, own)

    def added(name: str) -> Any:
        known = tuple(one for each in told if (one := getattr(each, name)) is not None)
        return total(known) if known else None

    return Footprint(**{name: added(name) for name in Footprint.__slots__})


def provenance_of(
    own: Sequence[str], whole: Footprint, charge: Charge, parts: Sequence[Elsewhere]
) -> tuple[str, ...]:
    """Where the figures come from that `with_elsewhere` gave; `own` says it of our charge."""
    if not parts:
        return tuple(own)
    mine = own if charge.energy_uj else ()
    names = ", ".join(part.model for part in parts)
    return tuple(dict.fromkeys((*mine, *provenance(whole, f"{METER} ({names})"))))


def part_of(model: str, told: TokenRates, usage: Usage) -> Elsewhere:
    """The tokens of an answer from elsewhere."""
    return Elsewhere(model, told, usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)


def _modelled(slope: Quantity) -> Quantity:
    """Nobody has measured this service."""
    return Quantity(
        slope.central, slope.low, slope.high, slope.unit, "D", slope.boundary, slope.inputs
    )
