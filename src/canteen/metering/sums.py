"""Questions to the ledger: sums by what they are asked for."""

import difflib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from canteen.core.database import Row
from canteen.core.errors import InvalidRequest
from canteen.core.footprint import Charge, Footprint, Part
from canteen.core.generation import Usage
from canteen.metering import told
from canteen.metering.elsewhere import footprint, joined, unknown, used
from canteen.metering.lookup import charge_of, elsewhere_of, rates_of
from canteen.metering.node import ACCOUNTS
from canteen.metering.receipt import footprint_json, tokens_json
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
BY = (*_COLUMNS, "phase", "account", "node")
_TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens")
_COUNTED = ("prefill_uj", "decode_uj", "prefill_us", "decode_us")
_SUMMED = (*_TOKENS, *_COUNTED)
_DURING = "WHERE ended_s >= :since AND ended_s < :until "


def _sums_of(columns: Iterable[str]) -> str:
    return ", ".join(f"SUM({name}) AS {name}" for name in columns)


# Receipts; their parts that are modelled, and those that others told: what is asked of each, after
# a label. All names are our own.
_OWN = (
    f"rates_id, COUNT(*) AS requests, {_sums_of(_SUMMED)}, SUM(CASE WHEN prefill_uj + decode_uj "
    "+ prefill_us + decode_us > 0 THEN 1 ELSE 0 END) AS worked FROM receipts"
)
_MODELLED = (
    "'' AS upstream, rates, COUNT(*) AS requests, "
    f"{_sums_of(('read_tokens', 'cached_read_tokens', 'written_tokens'))} FROM receipts "
    "JOIN elsewhere ON receipt_id = receipts.id JOIN token_rates ON token_rates.id = token_rates_id"
)
_ALIKE = ", ".join(told.ALIKE)
_TOLD = (
    f"{_ALIKE}, '' AS upstream, '' AS told_id, COUNT(*) AS requests, {_sums_of(told.SUMMED)} "
    "FROM receipts JOIN told ON receipt_id = receipts.id"
)
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
    if by == "node":
        return {"by": by, "sums": _nodes(database, span)}
    return {"by": by, "sums": _groups(database, by, span)}


def _groups(database: Database, by: str, span: Span) -> list[dict[str, Any]]:
    label = f"{_COLUMNS[by]} AS label"
    during = f"{_DURING}{_RESTRICTED.get(by, '')}"
    with database.reading() as connection:
        rows = connection.execute(
            f"SELECT {label}, {_OWN} {during} GROUP BY 1, 2 ORDER BY 1", _bounds(span)
        )
        parts: dict[Any, list[Footprint]] = {}
        for row in connection.execute(
            f"SELECT {label}, {_MODELLED} {during} GROUP BY 1, 3", _bounds(span)
        ):
            parts.setdefault(row["label"], []).append(footprint(elsewhere_of(row)))
        for row in connection.execute(
            f"SELECT {label}, {_TOLD} {during} GROUP BY 1, {_ALIKE}", _bounds(span)
        ):
            parts.setdefault(row["label"], []).append(told.part_of(row).footprint)
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
    rows: list[Mapping[str, Any]], known: Mapping[str, Row], parts: Sequence[Footprint]
) -> dict[str, Any]:
    """The footprint of a group's charges, and of what others did for it."""
    charged = [(rates_of(known[row["rates_id"]]["rates"]), charge_of(row)) for row in rows]
    own = [rates.footprint(charge) for rates, charge in charged if charge != Charge() or not parts]
    return footprint_json(joined([*own, *parts]))


def _nodes(database: Database, span: Span) -> list[dict[str, Any]]:
    """What each node did: by our receipts, by those of others, and, of no node, what is modelled.
    Whose own receipts are in this ledger is not counted by what others tell of them too."""
    is_not_here = "AND NOT EXISTS (SELECT 1 FROM receipts AS theirs WHERE theirs.id = told_id) "
    label = "node AS label"
    asked = {
        "own": f"SELECT {label}, {_OWN} {_DURING} GROUP BY 1, 2",
        "told": f"SELECT {label}, {_TOLD} {_DURING} GROUP BY 1, {_ALIKE}",
        "new": f"SELECT {label}, {_TOLD} {_DURING} {is_not_here} GROUP BY 1, {_ALIKE}",
        "modelled": f"SELECT {label}, {_MODELLED} {_DURING} GROUP BY 1, 3",
    }
    with database.reading() as connection:
        rows = {name: connection.execute(sql, _bounds(span)) for name, sql in asked.items()}
        known = {row["id"]: row for row in connection.execute("SELECT * FROM rates")}
    groups: dict[str, _Node] = defaultdict(_Node)
    for row in rows["own"]:
        groups[row["label"]].add(int(row["worked"]), _own(row, known[row["rates_id"]]))
    for row in rows["told"]:
        groups[row["label"]].take(told.part_of(row).usage)
    for row in rows["new"]:
        groups[row["told_node"]].add(int(row["requests"]), told.part_of(row))
    for row in rows["modelled"]:
        part = elsewhere_of(row)
        groups[row["label"]].take(used(part))
        groups[""].add(int(row["requests"]), unknown(part, ""))
    return [groups[name].as_json(name) for name in sorted(groups) if groups[name].requests]


@dataclass(slots=True)
class _Node:
    """What a node did, in the making."""

    requests: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    parts: list[Part] = field(default_factory=list)

    def add(self, requests: int, part: Part) -> None:
        """It did this part of so many requests."""
        self.requests += requests
        self.tokens.update(tokens_json(part.usage))
        self.parts.append(part)

    def take(self, usage: Usage) -> None:
        """Of what is on its receipts it did not do this."""
        self.tokens.subtract(tokens_json(usage))

    def as_json(self, name: str) -> dict[str, Any]:
        charges = [part.charge for part in self.parts]
        return {
            "node": name or None,
            "requests": self.requests,
            "tokens": dict(self.tokens),
            "energy_uj": {
                "prefill": sum(charge.prefill_uj for charge in charges),
                "decode": sum(charge.decode_uj for charge in charges),
            },
            "meter": {
                "boundary": _boundary(part.boundary for part in self.parts),
                "grade": max(part.grade for part in self.parts),
            },
            **footprint_json(joined([part.footprint for part in self.parts])),
        }


def _own(row: Row, rates: Row) -> Part:
    """What a node did by its own receipts, which are told on these terms."""
    charge = charge_of(row)
    prompt, cached, completion = (int(row[name]) for name in _TOKENS)
    usage = Usage(prompt, cached, completion)
    eaten = rates_of(rates["rates"]).footprint(charge)
    return Part(row["label"], "", "", usage, charge, rates["boundary"], rates["grade"], eaten)


def _phases(database: Database, span: Span) -> list[dict[str, Any]]:
    """Prefill and decode of the receipts, then the accounts that are no request's, of whose time
    the ledger keeps nothing."""
    columns = ", ".join(f"COALESCE(SUM({name}), 0) AS {name}" for name in _COUNTED)
    answers = f"FROM receipts {_DURING}AND phase = 'inference'"
    asked = f"SELECT {columns} {answers}"
    with database.reading() as connection:
        (read,) = connection.execute(asked, _bounds(span))
    booked = _accounts(database, span)
    others: dict[str, int] = {name: booked[f"{name}_uj"] for name in ACCOUNTS if name != "requests"}
    worked: list[dict[str, Any]] = [
        {"phase": name, "energy_uj": int(read[f"{name}_uj"]), "device_us": int(read[f"{name}_us"])}
        for name in ("prefill", "decode")
    ]
    return worked + [
        {"phase": name, "energy_uj": energy_uj, "device_us": None}
        for name, energy_uj in others.items()
    ]


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


def _label(by: str, label: Any) -> Any:
    if by == "hour":
        return datetime.fromtimestamp(label * _HOUR_S, UTC).isoformat()
    if by == "day":
        return datetime.fromtimestamp(label * 24 * _HOUR_S, UTC).date().isoformat()
    return label


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
