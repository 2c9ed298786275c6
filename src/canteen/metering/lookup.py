"""Receipts of the ledger, with their rates and parts, and what its tables' rows mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import msgspec

from canteen.core.database import Connection, Row
from canteen.core.errors import InvalidRequest
from canteen.core.footprint import Charge, Elsewhere, Part, Receipt, TokenRates
from canteen.core.generation import Usage
from canteen.metering import told
from canteen.metering.elsewhere import less, parts, provenance_of, summed, used
from canteen.metering.rates import Rates
from canteen.metering.receipt import provenance
from canteen.metering.store import Database

_HOUR_S = 3600
# Made while the module is imported: where the first two uses of a type fall together in two
# threads, msgspec takes one for ready that is not, and the process ends.
_RATES = msgspec.json.Decoder(Rates)
_TOKEN_RATES = msgspec.json.Decoder(TokenRates)


_WHOLE = (
    "SELECT receipts.*, rates.rates AS slopes, rates.meter, rates.boundary, rates.grade "
    "FROM receipts JOIN rates ON rates.id = receipts.rates_id "
)
_IS_OF = {"model": "model = :model", "key": "caller_id = :key"}


@dataclass(frozen=True, slots=True)
class Page:
    """The `limit` newest receipts of a time (seconds since 1970), or those after the one with the
    id `after`. `of` narrows them to a model, or to the key of a caller."""

    since_s: float = 0.0
    until_s: float = 1e12
    after: str = ""
    limit: int = 100
    of: Mapping[str, str] = field(default_factory=dict)


def receipt(database: Database, receipt_id: str) -> Receipt | None:
    """The receipt of an id, None where there is none."""
    with database.reading() as connection:
        rows = connection.execute(f"{_WHOLE} WHERE receipts.id = :id", {"id": receipt_id})
        if not rows:
            return None
        found = _made_out(connection, rows[0])
        return replace(found, hour_idle_share_uj=_hour_idle_share_uj(connection, rows[0]))


def receipts(database: Database, page: Page) -> list[Receipt]:
    """The newest first; raises InvalidRequest where there is no receipt to go on after."""
    wanted = ["ended_s >= :since", "ended_s < :until", *(_IS_OF[name] for name in page.of)]
    values: dict[str, Any] = {
        "since": page.since_s,
        "until": page.until_s,
        "limit": page.limit,
    } | dict(page.of)
    with database.reading() as connection:
        if page.after:
            values |= _place(connection, page.after)
            wanted.append("(ended_s, receipts.id) < (:ended, :after)")
        # What is joined is our own.
        asked = (
            f"{_WHOLE} WHERE {' AND '.join(wanted)} "
            "ORDER BY ended_s DESC, receipts.id DESC LIMIT :limit"
        )
        return [_made_out(connection, row) for row in connection.execute(asked, values)]


def _place(connection: Connection, receipt_id: str) -> dict[str, Any]:
    rows = connection.execute("SELECT ended_s FROM receipts WHERE id = :id", {"id": receipt_id})
    if not rows:
        raise InvalidRequest(f"no receipt '{receipt_id[:64]}' to go on after", param="after")
    return {"ended": rows[0]["ended_s"], "after": receipt_id}


def _made_out(connection: Connection, row: Row) -> Receipt:
    """A row as the receipt that it is, but for its share of the hour's idling."""
    elsewhere, theirs = _elsewhere(connection, row["id"]), _told(connection, row["id"])
    own = _own(row, elsewhere, theirs)
    did = parts(own, elsewhere, theirs)
    whole = summed(own, did)
    mine = provenance(own.footprint, row["meter"])
    return Receipt(
        **{name: row[name] for name in ("id", "model", "digest", "engine", "caller_id")},
        **{name: row[name] for name in ("ended_s", "phase", "operation", "conversation_id")},
        **{name: row[name] for name in ("prompt_version", "boundary", "idle_share_uj", "asked")},
        usage=_usage(row),
        charge=own.charge,
        footprint=whole,
        grade=max((part.grade for part in did), default=own.grade),
        provenance=provenance_of(mine, row["id"], whole, did),
        elsewhere=elsewhere,
        node=row["node"],
        parts=did,
    )


def elsewhere_of(row: Row) -> Elsewhere:
    """Tokens of a service that told nothing."""
    names = ("read_tokens", "cached_read_tokens", "written_tokens")
    return Elsewhere(row["upstream"], _token_rates(row["rates"]), *(int(row[n]) for n in names))


def charge_of(row: Mapping[str, Any]) -> Charge:
    """Of a receipt, or of several together."""
    names = ("prefill_uj", "decode_uj", "prefill_us", "decode_us")
    return Charge(*(int(row[name]) for name in names))


@cache
def rates_of(text: str) -> Rates:
    """What a joule meant then."""
    return _RATES.decode(text)


def _own(row: Row, elsewhere: tuple[Elsewhere, ...], theirs: tuple[Part, ...]) -> Part:
    """What the node of a receipt did itself."""
    others = [*map(used, elsewhere), *(part.usage for part in theirs)]
    charge = charge_of(row)
    return Part(
        row["node"],
        row["id"],
        row["model"],
        less(_usage(row), others),
        charge,
        row["boundary"],
        row["grade"],
        rates_of(row["slopes"]).footprint(charge),
    )


def _usage(row: Row) -> Usage:
    names = ("prompt_tokens", "cached_tokens", "completion_tokens")
    return Usage(**{name: row[name] for name in (*names, "queue_s", "prefill_s", "decode_s")})


def _elsewhere(connection: Connection, receipt_id: str) -> tuple[Elsewhere, ...]:
    asked = (
        "SELECT * FROM elsewhere JOIN token_rates ON token_rates.id = token_rates_id "
        "WHERE receipt_id = :id ORDER BY upstream"
    )
    return tuple(elsewhere_of(row) for row in connection.execute(asked, {"id": receipt_id}))


def _told(connection: Connection, receipt_id: str) -> tuple[Part, ...]:
    asked = "SELECT * FROM told WHERE receipt_id = :id ORDER BY part"
    return tuple(told.part_of(row) for row in connection.execute(asked, {"id": receipt_id}))


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
    return found[0]["idle"] * charge_of(row).energy_uj // ended_uj if ended_uj else 0


@cache
def _token_rates(text: str) -> TokenRates:
    return _TOKEN_RATES.decode(text)
