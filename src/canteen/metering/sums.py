"""Questions to the ledger: one receipt with its rates, and sums by what they are asked for."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec

from canteen.core.errors import InvalidRequest
from canteen.core.footprint import Charge, Footprint, Receipt
from canteen.core.generation import Usage
from canteen.core.units import Quantity
from canteen.metering.node import ACCOUNTS
from canteen.metering.rates import Rates
from canteen.metering.receipt import footprint_json, provenance
from canteen.metering.store import Database

_COLUMNS = {
    "model": "model",
    "key": "caller_id",
    "conversation": "conversation_id",
    "hour": "hour",
    "day": "hour / 24",
}
# What belongs to no conversation is no conversation.
_RESTRICTED = {"conversation": "AND conversation_id <> '' "}
BY = (*_COLUMNS, "phase", "account")
_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Span:
    """From a time on, and before another; seconds since 1970."""

    since_s: float = 0.0
    until_s: float = 1e12

    @classmethod
    def told(cls, since: str | None, until: str | None) -> "Span":
        """From ISO 8601 dates or times, UTC where they do not say; raises InvalidRequest."""
        span = cls()
        if since:
            span = replace(span, since_s=_moment("since", since))
        if until:
            span = replace(span, until_s=_moment("until", until))
        if span.since_s >= span.until_s:
            raise InvalidRequest("`since` must be before `until`", param="since")
        return span


def receipt(database: Database, receipt_id: str) -> Receipt | None:
    """The receipt of an id, None where there is none."""
    asked = (
        "SELECT receipts.*, rates.rates AS slopes, rates.meter AS meter FROM receipts "
        "JOIN rates ON rates.id = receipts.rates_id WHERE receipts.id = :id"
    )
    with database.reading() as connection:
        rows = connection.execute(asked, {"id": receipt_id})
    if not rows:
        return None
    row = rows[0]
    charge = _charge(row)
    footprint = _rates(row["slopes"]).footprint(charge)
    return Receipt(
        **{name: row[name] for name in ("id", "model", "digest", "engine", "caller_id")},
        ended_s=row["ended_s"],
        usage=Usage(
            prompt_tokens=row["prompt_tokens"],
            cached_tokens=row["cached_tokens"],
            completion_tokens=row["completion_tokens"],
            queue_s=row["queue_s"],
            prefill_s=row["prefill_s"],
            decode_s=row["decode_s"],
        ),
        charge=charge,
        footprint=footprint,
        phase=row["phase"],
        operation=row["operation"],
        conversation_id=row["conversation_id"],
        prompt_version=row["prompt_version"],
        idle_share_uj=row["idle_share_uj"],
        provenance=provenance(footprint, row["meter"]),
    )


def sums(database: Database, by: str, span: Span) -> dict[str, Any]:
    """What was eaten in a span, summed; raises InvalidRequest for an unknown `by`."""
    if by not in BY:
        near = difflib.get_close_matches(by, BY, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise InvalidRequest(f"`by` is one of {', '.join(BY)}, not '{by}'{hint}", param="by")
    if by == "account":
        return _accounts(database, span)
    if by == "phase":
        return {"by": by, "sums": _phases(database, span)}
    return {"by": by, "sums": _groups(database, by, span)}


def _groups(database: Database, by: str, span: Span) -> list[dict[str, Any]]:
    asked = (
        f"SELECT {_COLUMNS[by]} AS label, rates_id, COUNT(*) AS requests, "  # noqa: S608 - own names
        "SUM(prompt_tokens) AS prompt_tokens, SUM(cached_tokens) AS cached_tokens, "
        "SUM(completion_tokens) AS completion_tokens, SUM(prefill_uj) AS prefill_uj, "
        "SUM(decode_uj) AS decode_uj, SUM(prefill_us) AS prefill_us, "
        "SUM(decode_us) AS decode_us FROM receipts "
        f"WHERE ended_s >= :since AND ended_s < :until {_RESTRICTED.get(by, '')}"
        "GROUP BY 1, 2 ORDER BY 1"
    )
    with database.reading() as connection:
        rows = connection.execute(asked, _bounds(span))
        known = connection.execute("SELECT id, rates FROM rates")
    slopes: dict[str, str] = {row["id"]: row["rates"] for row in known}
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["label"], []).append(row)
    return [_group(by, label, members, slopes) for label, members in groups.items()]


def _group(
    by: str, label: Any, rows: list[Mapping[str, Any]], slopes: Mapping[str, str]
) -> dict[str, Any]:
    told = [_rates(slopes[row["rates_id"]]).footprint(_charge(row)) for row in rows]

    def summed(name: str) -> int:
        return sum(int(row[name]) for row in rows)

    return {
        by: _label(by, label),
        "requests": summed("requests"),
        "tokens": {
            "prompt": summed("prompt_tokens"),
            "cached": summed("cached_tokens"),
            "completion": summed("completion_tokens"),
        },
        "energy_uj": {"prefill": summed("prefill_uj"), "decode": summed("decode_uj")},
        **footprint_json(_joined(told)),
    }


def _phases(database: Database, span: Span) -> list[dict[str, Any]]:
    """Prefill and decode of the receipts, then the accounts that are no request's."""
    asked = (
        "SELECT COALESCE(SUM(prefill_uj), 0) AS prefill, COALESCE(SUM(decode_uj), 0) AS decode "
        "FROM receipts "
        "WHERE ended_s >= :since AND ended_s < :until"
    )
    with database.reading() as connection:
        (read,) = connection.execute(asked, _bounds(span))
    booked = _accounts(database, span)
    others: dict[str, int] = {name: booked[f"{name}_uj"] for name in ACCOUNTS if name != "requests"}
    parts: dict[str, int] = {
        "prefill": int(read["prefill"]),
        "decode": int(read["decode"]),
        **others,
    }
    return [{"phase": name, "energy_uj": energy_uj} for name, energy_uj in parts.items()]


def _accounts(database: Database, span: Span) -> dict[str, Any]:
    """Integers that add up to `meter_uj`, by whole hours that the span touches."""
    names = (*ACCOUNTS, "meter")
    columns = ", ".join(f"COALESCE(SUM({name}), 0) AS {name}_uj" for name in names)
    asked = f"SELECT {columns} FROM accounts WHERE hour >= :since AND hour < :until"  # noqa: S608 - own names
    hours = {
        "since": int(span.since_s // _HOUR_S),
        "until": min(math.ceil(span.until_s / _HOUR_S), 2**31 - 1),
    }
    with database.reading() as connection:
        (row,) = connection.execute(asked, hours)
    return {"by": "account", **{name: int(uj) for name, uj in row.items()}}


def _joined(told: list[Footprint]) -> Footprint:
    """Of runs with other factors. Most they share, so their bounds add up like their medians."""

    def added(name: str) -> Any:
        parts: list[Quantity] = [one for each in told if (one := getattr(each, name)) is not None]
        if not parts:
            return None
        return replace(
            parts[0],
            central=sum(part.central for part in parts),
            low=sum(part.low for part in parts),
            high=sum(part.high for part in parts),
            grade=max(part.grade for part in parts),
        )

    return Footprint(**{name: added(name) for name in Footprint.__slots__})


def _label(by: str, label: Any) -> Any:
    if by == "hour":
        return datetime.fromtimestamp(label * _HOUR_S, UTC).isoformat()
    if by == "day":
        return datetime.fromtimestamp(label * 24 * _HOUR_S, UTC).date().isoformat()
    return label


def _charge(row: Mapping[str, Any]) -> Charge:
    names = ("prefill_uj", "decode_uj", "prefill_us", "decode_us")
    return Charge(*(int(row[name]) for name in names))


def _bounds(span: Span) -> dict[str, float]:
    return {"since": span.since_s, "until": span.until_s}


def _moment(name: str, told: str) -> float:
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        raise InvalidRequest(
            f"`{name}` is a date like 2026-10-01 or a time like 2026-10-01T12:00:00Z, not '{told}'",
            param=name,
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@cache
def _rates(told: str) -> Rates:
    return msgspec.json.decode(told, type=Rates)
