"""`GET /v1/footprint`: a receipt with its derivation, lists and sums of the ledger, and what it is
to be idle."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from canteen.api.errors import HttpError
from canteen.api.routing import Route, Served
from canteen.api.whole import whole
from canteen.core.errors import InvalidRequest
from canteen.core.footprint import Charge
from canteen.core.model import full_name
from canteen.metering.lookup import Page
from canteen.metering.rates import Rates
from canteen.metering.receipt import as_json, derivation, footprint_json, outline
from canteen.metering.sums import Span

_ASKED = ("by", "since", "until")
_LISTED = ("limit", "after", "since", "until", "model", "key")
USUAL, MOST = 100, 1000
HOUR_US = 3_600_000_000


class Derived(BaseModel):
    """A receipt and, in `derivation`, how its figures came about."""

    model_config = ConfigDict(extra="allow")
    id: str
    derivation: dict[str, Any]


class Sums(BaseModel):
    """One entry per group; for `by=account` the accounts themselves. Figures of a phase are those
    of the meter's count by the rates that hold now, `device_us` is how long it took the devices:
    null where that is not known, and `cost_usd` with it where the machine is paid by the hour."""

    model_config = ConfigDict(extra="allow")
    by: str
    sums: list[dict[str, Any]] = []


class Outline(BaseModel):
    """A receipt in short; `ended_s` is seconds since 1970, `key` who asked."""

    model_config = ConfigDict(extra="allow")
    id: str
    ended_s: float
    model: str
    key: str
    operation: str
    phase: str
    tokens: dict[str, int]


class Receipts(BaseModel):
    """The newest first; where there are more, they come `after` the id in `next`."""

    receipts: list[Outline]
    next: str | None


class Idle(BaseModel):
    """What an hour costs in which nobody asks: the figures of a receipt, each null where it is not
    known. `power_w` is what the meter counted while all was idle, `observed_s` how long that was;
    of less than a second, nothing is told."""

    model_config = ConfigDict(extra="allow")
    power_w: float | None
    observed_s: float
    meter: dict[str, str]


async def receipt(served: Served) -> Response:
    """A receipt by its id."""
    receipt_id = served.path["id"]
    found = await asyncio.to_thread(served.services.accounting.ledger.receipt, receipt_id)
    if found is None:
        raise HttpError(
            404,
            f"no receipt '{receipt_id[:64]}'; the header x-canteen-receipt of an answer has its id",
            code="receipt_not_found",
        )
    told = {**as_json(found), "derivation": derivation(found)}
    return whole(told)


async def receipts(served: Served) -> Response:
    """The latest receipts, a page at a time."""
    asked = served.request.query_params
    _check(asked, _LISTED)
    text = asked.get("limit", str(USUAL))
    if not (text.isdecimal() and len(text) < 9 and 1 <= int(text) <= MOST):
        raise InvalidRequest(f"limit is a whole number from 1 to {MOST}", param="limit")
    span = Span.told(asked.get("since"), asked.get("until"))
    of = {name: asked[name] for name in ("model", "key") if asked.get(name)}
    if "model" in of:
        of["model"] = full_name(of["model"])
    # One more than is wanted tells whether there are more.
    page = Page(span.since_s, span.until_s, asked.get("after", ""), int(text) + 1, of)
    found = await asyncio.to_thread(served.services.accounting.ledger.receipts, page)
    shown = found[: int(text)]
    more = shown[-1].id if len(found) > len(shown) else None
    return whole({"receipts": [outline(one) for one in shown], "next": more})


async def idle(served: Served) -> Response:
    """What an hour costs in which nobody asks, by what it took to be idle since the start."""
    accounting = served.services.accounting
    accounting.book()
    accounts, terms = accounting.node.accounts(), accounting.terms()
    idle_uj, idle_us = accounts.energy_uj["idle"], accounts.time_us["idle"]
    told: dict[str, Any] = {"power_w": None, "observed_s": idle_us / 1e6}
    if idle_us >= 1e6:
        hour = Charge(decode_uj=idle_uj * HOUR_US // idle_us, decode_us=HOUR_US)
        told |= {"power_w": idle_uj / idle_us, **footprint_json(terms.rates.footprint(hour))}
    meter = {"source": terms.source, "boundary": terms.boundary, "grade": terms.grade}
    return whole(told | {"meter": meter})


async def sums(served: Served) -> Response:
    """Sums by model, key, phase, hour, day, conversation, account or node, `since` to `until`."""
    asked = served.request.query_params
    _check(asked, _ASKED)
    span = Span.told(asked.get("since"), asked.get("until"))
    accounting = served.services.accounting
    accounting.book()
    told = await asyncio.to_thread(accounting.ledger.sums, asked.get("by", "model"), span)
    if told["by"] == "phase":
        told["sums"] = [
            one | _meaning(one["energy_uj"], one["device_us"], accounting.rates)
            for one in told["sums"]
        ]
    return whole(told)


def _meaning(energy_uj: int, device_us: int | None, rates: Rates) -> dict[str, Any]:
    """What a count of the meter means by the rates that hold now; what goes by a time that is not
    known is not known either."""
    eaten = rates.footprint(Charge(decode_uj=energy_uj, decode_us=device_us or 0))
    if device_us is None:
        cost = eaten.cost if rates.cost_of_time is None else None
        eaten = replace(eaten, carbon_embodied=None, cost=cost)
    return footprint_json(eaten)


def _check(asked: Iterable[str], known: tuple[str, ...]) -> None:
    """Raises InvalidRequest for a parameter that nobody knows."""
    for name in asked:
        if name not in known:
            raise InvalidRequest(f"'{name}' is none of {', '.join(known)}", param=name)


ROUTES = (
    Route(
        "GET", "/v1/footprint", sums, None, Sums, "What was eaten, summed", scope="llm:footprint"
    ),
    # Before the receipts' own rows, of which it would be one.
    Route(
        "GET",
        "/v1/footprint/idle",
        idle,
        None,
        Idle,
        "What an hour of idling costs",
        scope="llm:footprint",
    ),
    Route("GET", "/v1/footprint/{id}", receipt, None, Derived, "A receipt", scope="llm:footprint"),
    Route(
        "GET",
        "/v1/receipts",
        receipts,
        None,
        Receipts,
        "The latest receipts",
        scope="llm:footprint",
    ),
)
