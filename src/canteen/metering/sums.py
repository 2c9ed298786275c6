"""Questions to the ledger: one receipt with its rates, and sums by what they are asked for."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec

from canteen.core.database import Connection, Row
from canteen.core.errors import InvalidRequest
from canteen.core.footprint import Charge, Elsewhere, Footprint, Receipt, TokenRates
from canteen.core.generation import Usage
from canteen.core.units import Quantity
from canteen.metering.elsewhere import footprint, provenance_of, with_elsewhere
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
        "SELECT receipts.*, rates.rates AS slopes, rates.meter, rates.boundary, rates.grade "
        "FROM receipts JOIN rates ON rates.id = receipts.rates_id WHERE receipts.id = :id"
    )
    with database.reading() as connection:
        rows = connection.execute(asked, {"id": receipt_id})
        if not rows:
            return None
        row = rows[0]
        parts = _parts(connection, receipt_id)
        hour_idle_share_uj = _hour_idle_share_uj(connection, row)
    charge = _charge(row)
    own = _rates(row["slopes"]).footprint(charge)
    whole = with_elsewhere(own, charge, parts)
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
        footprint=whole,
        phase=row["phase"],
        operation=row["operation"],
        conversation_id=row["conversation_id"],
        prompt_version=row["prompt_version"],
        boundary=row["boundary"],
        grade="D" if parts else row["grade"],
        idle_share_uj=row["idle_share_uj"],
        hour_idle_share_uj=hour_idle_share_uj,
        provenance=provenance_of(provenance(own, row["meter"]), whole, charge, parts),
        asked=row["asked"],
        elsewhere=parts,
    )


def _parts(connection: Connection, receipt_id: str) -> tuple[Elsewhere, ...]:
    """What others did for a receipt."""
    asked = (
        "SELECT * FROM elsewhere JOIN token_rates ON token_rates.id = token_rates_id "
        "WHERE receipt_id = :id ORDER BY upstream"
    )
    return tuple(_part(row) for row in connection.execute(asked, {"id": receipt_id}))


def _part(row: Row) -> Elsewhere:
    names = ("read_tokens", "cached_read_tokens", "written_tokens")
    return Elsewhere(row["upstream"], _token_rates(row["rates"]), *(int(row[n]) for n in names))


def _hour_idle_share_uj(connection: Connection, row: Row) -> int | None:
    """Of what its node idled in the hour that it ended in: by its energy over that of all that
    ended in it. None for a receipt of an earlier release, whose node is not known."""
    asked = (
        "SELECT idle, (SELECT SUM(prefill_uj + decode_uj) FROM receipts WHERE ended_s >= :since "
        "AND ended_s < :until AND run_id = :run) AS ended_uj "
        "FROM accounts WHERE run_id = :run AND hour = :hour"
    )
    since_s = row["hour"] * _HOUR_S
    values = {"run": row["run_id"], "hour": row["hour"]}
    span = {"since": since_s, "until": since_s + _HOUR_S}
    found = connection.execute(asked, values | span)
    if not row["run_id"] or not found:
        return None
    ended_uj = int(found[0]["ended_uj"])
    return found[0]["idle"] * _charge(row).energy_uj // ended_uj if ended_uj else 0


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
    abroad = (
        f"SELECT {_COLUMNS[by]} AS label, '' AS upstream, rates, "  # noqa: S608 - own names
        "SUM(read_tokens) AS read_tokens, SUM(cached_read_tokens) AS cached_read_tokens, "
        "SUM(written_tokens) AS written_tokens FROM receipts "
        "JOIN elsewhere ON receipt_id = receipts.id "
        "JOIN token_rates ON token_rates.id = token_rates_id "
        f"WHERE ended_s >= :since AND ended_s < :until {_RESTRICTED.get(by, '')}"
        "GROUP BY 1, 3"
    )
    with database.reading() as connection:
        rows = connection.execute(asked, _bounds(span))
        parts: dict[Any, list[Elsewhere]] = {}
        for row in connection.execute(abroad, _bounds(span)):
            parts.setdefault(row["label"], []).append(_part(row))
        known = {row["id"]: row for row in connection.execute("SELECT * FROM rates")}
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["label"], []).append(row)
    return [
        _group(by, label, members, known) | _eaten(members, known, parts.get(label, ()))
        for label, members in groups.items()
    ]


def _group(
    by: str, label: Any, rows: list[Mapping[str, Any]], known: Mapping[str, Row]
) -> dict[str, Any]:
    meters = [known[row["rates_id"]] for row in rows]

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
        "meter": {
            "boundary": _boundary(meter["boundary"] for meter in meters),
            "grade": max(meter["grade"] for meter in meters),
        },
    }


def _eaten(
    rows: list[Mapping[str, Any]], known: Mapping[str, Row], parts: Sequence[Elsewhere]
) -> dict[str, Any]:
    """The footprint of a group's charges, and of what others did for it."""
    charged = [(_rates(known[row["rates_id"]]["rates"]), _charge(row)) for row in rows]
    told = [rates.footprint(charge) for rates, charge in charged if charge != Charge() or not parts]
    return footprint_json(_joined([*told, *(footprint(part) for part in parts)]))


def _phases(database: Database, span: Span) -> list[dict[str, Any]]:
    """Prefill and decode of the receipts, then the accounts that are no request's."""
    asked = (
        "SELECT COALESCE(SUM(prefill_uj), 0) AS prefill, COALESCE(SUM(decode_uj), 0) AS decode "
        "FROM receipts "
        "WHERE ended_s >= :since AND ended_s < :until AND phase = 'inference'"
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
    """Integers that add up to `meter_uj`, by whole hours that the span touches, and what the
    meters counted."""
    names = (*ACCOUNTS, "meter")
    columns = ", ".join(f"COALESCE(SUM({name}), 0) AS {name}_uj" for name in names)
    touched = "FROM accounts WHERE hour >= :since AND hour < :until"
    asked = f"SELECT {columns} {touched}"
    those = f"SELECT run_id {touched} AND meter > 0"
    whose = f"SELECT DISTINCT boundary FROM runs WHERE id IN ({those})"  # noqa: S608 - the same
    hours = {
        "since": int(span.since_s // _HOUR_S),
        "until": min(math.ceil(span.until_s / _HOUR_S), 2**31 - 1),
    }
    with database.reading() as connection:
        (row,) = connection.execute(asked, hours)
        meters = connection.execute(whose, hours)
    booked = {name: int(uj) for name, uj in row.items()}
    return {"by": "account", **booked, "boundary": _boundary(one["boundary"] for one in meters)}


def _boundary(told: Iterable[str]) -> str | None:
    """What meters counted together: counts of several kinds add up as numbers only."""
    kinds = sorted({one or "unknown" for one in told})
    if not kinds:
        return None
    return kinds[0] if len(kinds) == 1 else "mixed"


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
def _token_rates(told: str) -> TokenRates:
    return msgspec.json.decode(told, type=TokenRates)


@cache
def _rates(told: str) -> Rates:
    return msgspec.json.decode(told, type=Rates)
