"""Tokens of somebody else's service: what they are held to have eaten and drunk, and their price;
and what all had a part in together.

Nothing of it is on a meter of ours, so it stands beside a request's charge, never in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from canteen.core.footprint import Charge, Elsewhere, Footprint, Part, TokenRates
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


def parts(own: Part, elsewhere: Sequence[Elsewhere], told: Sequence[Part]) -> tuple[Part, ...]:
    """Who did what of a request: we, if anything, those that told it, and those that did not."""
    if not elsewhere and not told:
        return ()
    mine = (own,) if own.charge != Charge() else ()
    return (*mine, *told, *(unknown(part, own.receipt_id) for part in elsewhere))


def summed(own: Part, parts: Sequence[Part]) -> Footprint:
    """A request's footprint: of all its parts, and our own where there are none. Nodes err
    independently, the parts of one do not."""
    if not parts:
        return own.footprint
    by_node: dict[str, list[Footprint]] = {}
    for part in parts:
        by_node.setdefault(part.node or part.model, []).append(part.footprint)
    nodes = [joined(told) for told in by_node.values()]

    def added(name: str) -> Any:
        known = tuple(one for node in nodes if (one := getattr(node, name)) is not None)
        return total(known) if known else None

    return Footprint(**{name: added(name) for name in Footprint.__slots__})


def joined(told: Sequence[Footprint]) -> Footprint:
    """The sum of footprints that share most of their factors: bounds add up like medians."""

    def added(name: str) -> Any:
        parts: list[Quantity] = [one for each in told if (one := getattr(each, name)) is not None]
        if len(parts) < 2:
            return parts[0] if parts else None
        return replace(
            parts[0],
            central=sum(part.central for part in parts),
            low=sum(part.low for part in parts),
            high=sum(part.high for part in parts),
            grade=max(part.grade for part in parts),
        )

    return Footprint(**{name: added(name) for name in Footprint.__slots__})


def provenance_of(
    own: Sequence[str], receipt_id: str, whole: Footprint, parts: Sequence[Part]
) -> tuple[str, ...]:
    """Where the figures of a receipt come from that `summed` gave; `own` says it of our charge."""
    if not parts:
        return tuple(own)
    lines = list[str]()
    if any(part.receipt_id == receipt_id and part.charge.energy_uj for part in parts):
        lines += own
    theirs = [part.node for part in parts if part.receipt_id != receipt_id and part.node]
    lines += [f"node {node}: as its own receipts tell" for node in theirs]
    unknown = [part.model for part in parts if not part.node and part.charge == Charge()]
    if unknown:
        lines += provenance(whole, f"{METER} ({', '.join(dict.fromkeys(unknown))})")
    return tuple(dict.fromkeys(lines))


def unknown(part: Elsewhere, receipt_id: str) -> Part:
    """The part of a service that told nothing, on one of our receipts."""
    return Part("", receipt_id, part.model, used(part), Charge(), "it", "D", footprint(part))


def used(part: Elsewhere) -> Usage:
    """Its tokens."""
    return Usage(
        prompt_tokens=part.prompt_tokens,
        cached_tokens=part.cached_tokens,
        completion_tokens=part.completion_tokens,
    )


def less(usage: Usage, parts: Sequence[Usage]) -> Usage:
    """A request's usage without the tokens of some of its parts."""

    def left(name: str) -> int:
        taken = sum(int(getattr(part, name)) for part in parts)
        return max(0, int(getattr(usage, name)) - taken)

    return Usage(
        prompt_tokens=left("prompt_tokens"),
        cached_tokens=left("cached_tokens"),
        completion_tokens=left("completion_tokens"),
    )


def part_of(model: str, told: TokenRates, usage: Usage) -> Elsewhere:
    """The tokens of an answer from elsewhere."""
    return Elsewhere(model, told, usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)


def _modelled(slope: Quantity) -> Quantity:
    """Nobody has measured this service."""
    return Quantity(
        slope.central, slope.low, slope.high, slope.unit, "D", slope.boundary, slope.inputs
    )
