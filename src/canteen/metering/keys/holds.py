"""What is held for requests under way and what keys have had, in the database."""

import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from canteen.core.database import AtOnce, Connection, Row, Tables, insert
from canteen.core.processes import here, is_gone
from canteen.metering.keys.limits import (
    Ask,
    Cell,
    Grant,
    Limit,
    Refusal,
    Unit,
    decide,
    period,
)

# What was had in a minute is nobody's question any more after so long.
_MINUTES_KEPT_S = 3600

_Place = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Reserve:
    """Hold what a request of a key may take. `id` is of this hold alone."""

    id: str
    key_id: str
    limits: tuple[Limit, ...]
    ask: Ask


@dataclass(frozen=True, slots=True)
class Settle:
    """Book what a request took in place of what was held for it, in the periods it was held in."""

    reserve: Reserve
    at_s: float
    used: Mapping[Unit, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a Reserve: what was decided at `at_s`, and how its limits stand after it."""

    decision: Grant | Refusal
    at_s: float
    cells: Mapping[Limit, Cell]


Operation = Reserve | Settle


class Holds:
    """The holds of this gateway. Every call blocks for milliseconds, and raises EngineError where
    the database cannot be used. `close` is called at the end.

    What operations of several gateways do to one key is done one after the other.
    """

    def __init__(
        self,
        tables: Tables,
        clock: Callable[[], float] = time.time,
        host: str = "",
        close: Callable[[], object] = lambda: None,
        at_once: AtOnce | None = None,
    ) -> None:
        self._tables = tables
        self._at_once = at_once
        self._close = close
        self._clock = clock
        self._host = host or socket.gethostname()
        self._id = uuid.uuid4().hex

    def apply(self, operations: Sequence[Operation]) -> list[Outcome | None]:
        """Do all in one transaction, in their order."""
        with self._tables.writing() as connection:
            return self._applied(connection, operations)

    def apply_at_once(self, operations: Sequence[Operation]) -> list[Outcome | None] | None:
        """The same without waiting for anybody; None, and nothing is done, where that cannot be.
        Not before the first beat."""
        if self._at_once is None:
            return None
        return self._at_once.write(lambda connection: self._applied(connection, operations))

    def _applied(
        self, connection: Connection, operations: Sequence[Operation]
    ) -> list[Outcome | None]:
        keys = sorted({_key_of(one) for one in operations})
        sheet = _Sheet(connection, self._id, self._clock(), keys)
        done = [self._done(sheet, one) for one in operations]
        sheet.write()
        return done

    def _done(self, sheet: "_Sheet", operation: Operation) -> Outcome | None:
        if isinstance(operation, Settle):
            sheet.settle(operation)
            return None
        outcome = sheet.reserve(operation)
        is_held_up = isinstance(outcome.decision, Refusal) and outcome.decision.waits_for_others
        if is_held_up and self._return_dead(sheet):
            outcome = sheet.reserve(operation)
        return outcome

    def beat(self) -> None:
        """Say that this gateway lives, return what dead ones held, and forget old minutes."""
        now_s = self._clock()
        me = {"id": self._id, "now": now_s} | here(self._host)
        with self._tables.writing() as connection:
            connection.execute(
                "INSERT INTO gateways (id, host, pid, born, seen_s) "
                "VALUES (:id, :host, :pid, :born, :now) "
                "ON CONFLICT (id) DO UPDATE SET seen_s = excluded.seen_s",
                me,
            )
            connection.execute(
                "DELETE FROM spent WHERE per = 'minute' AND begins_s < :then AND held = 0",
                {"then": int(now_s) - _MINUTES_KEPT_S},
            )
            dead = self._dead(connection, now_s)
        # Each by itself: whoever locks several keys does so in their order.
        for gateway_id in dead:
            with self._tables.writing() as connection:
                keys = sorted({row["key_id"] for row in _rows_of(connection, gateway_id)})
                sheet = _Sheet(connection, self._id, now_s, keys)
                sheet.give_back(gateway_id)
                sheet.write()
                _forget(connection, gateway_id)

    def leave(self) -> None:
        """This gateway holds nothing any more; to be called by the thread that called the rest."""
        try:
            with self._tables.writing() as connection:
                _forget(connection, self._id)
        finally:
            self._close()
            if self._at_once is not None:
                self._at_once.close()

    def _dead(self, connection: Connection, now_s: float) -> list[str]:
        rows = connection.execute("SELECT * FROM gateways ORDER BY id")
        others = [row for row in rows if row["id"] != self._id]
        return [row["id"] for row in others if is_gone(row, self._host, now_s)]

    def _return_dead(self, sheet: "_Sheet") -> bool:
        """Give back at once what dead gateways hold of the keys that are looked at."""
        dead = self._dead(sheet.connection, sheet.now_s)
        return sum(map(sheet.give_back, dead)) > 0


class _Sheet:
    """How the keys of a transaction stand: locked, read once, changed, and written once."""

    def __init__(
        self, connection: Connection, gateway_id: str, now_s: float, keys: Sequence[str]
    ) -> None:
        self.connection = connection
        self.now_s = now_s
        self._gateway_id = gateway_id
        self._keys = keys
        self._cells: dict[_Place, Cell] = {}
        self._changes: dict[_Place, Cell] = {}
        for key_id in keys:
            # Whoever comes later waits here until this transaction is over.
            connection.lock(key_id)
        for key_id in keys:
            rows = connection.execute(
                "SELECT * FROM spent WHERE key_id = :key_id AND "
                "(per = 'moment' OR begins_s >= :then)",
                {"key_id": key_id, "then": period("month", now_s)[0]},
            )
            for row in rows:
                self._cells[_place(row)] = Cell(row["used"], row["held"])

    def reserve(self, reserve: Reserve) -> Outcome:
        """Hold what is asked for, if it fits."""
        cells = [(one, self._cell(reserve.key_id, one, self.now_s)) for one in reserve.limits]
        decision = decide(reserve.ask, cells)
        if isinstance(decision, Grant):
            for limit, amount in decision.amounts.items():
                place = _at(reserve.key_id, limit, self.now_s)
                self._change(place, held=amount)
                held = {"id": reserve.id, "amount": amount, "gateway_id": self._gateway_id}
                insert(self.connection, "holds", _columns(place) | held)
        told = {limit: Cell(cell.used, cell.held) for limit, cell in cells}
        return Outcome(decision, self.now_s, told)

    def settle(self, settle: Settle) -> None:
        """Book what was used. Where the hold is there no more, since this gateway was taken for
        dead, what was used is booked all the same."""
        reserve = settle.reserve
        self._return("DELETE FROM holds WHERE id = :id RETURNING *", {"id": reserve.id})
        for limit in reserve.limits:
            used = 0 if limit.per == "moment" else settle.used.get(limit.unit, 0)
            if used:
                self._change(_at(reserve.key_id, limit, settle.at_s), used=used)

    def give_back(self, gateway_id: str) -> bool:
        """Return what a dead gateway holds of the keys that are here; whether that is anything."""
        sql = "DELETE FROM holds WHERE gateway_id = :id AND key_id = :key_id RETURNING *"
        returned = [self._return(sql, {"id": gateway_id, "key_id": one}) for one in self._keys]
        return any(returned)

    def write(self) -> None:
        """Write what has changed."""
        for place, change in sorted(self._changes.items(), key=lambda one: one[0]):
            insert(
                self.connection,
                "spent",
                _columns(place) | {"used": change.used, "held": change.held},
                "ON CONFLICT (key_id, unit, per, begins_s) "
                "DO UPDATE SET used = spent.used + excluded.used, "
                "held = spent.held + excluded.held",
            )

    def _return(self, sql: str, values: Mapping[str, str]) -> bool:
        """Give back what the holds that a statement deletes held; whether there were any."""
        rows = self.connection.execute(sql, values)
        for row in rows:
            self._change(_place(row), held=-row["amount"])
        return bool(rows)

    def _cell(self, key_id: str, limit: Limit, at_s: float) -> Cell:
        return self._cells.setdefault(_at(key_id, limit, at_s), Cell())

    def _change(self, place: _Place, *, used: int = 0, held: int = 0) -> None:
        for cells in (self._cells, self._changes):
            cell = cells.setdefault(place, Cell())
            cell.used += used
            cell.held += held


def _key_of(operation: Operation) -> str:
    return operation.key_id if isinstance(operation, Reserve) else operation.reserve.key_id


def _at(key_id: str, limit: Limit, at_s: float) -> _Place:
    return key_id, limit.unit, limit.per, period(limit.per, at_s)[0]


def _place(row: Row) -> _Place:
    return row["key_id"], row["unit"], row["per"], row["begins_s"]


def _columns(place: _Place) -> dict[str, Any]:
    return dict(zip(("key_id", "unit", "per", "begins_s"), place, strict=True))


def _rows_of(connection: Connection, gateway_id: str) -> list[Row]:
    return connection.execute("SELECT * FROM holds WHERE gateway_id = :id", {"id": gateway_id})


def _forget(connection: Connection, gateway_id: str) -> None:
    """Forget a gateway that holds nothing: one that was taken for dead may live, and hold again."""
    connection.execute(
        "DELETE FROM gateways WHERE id = :id "
        "AND NOT EXISTS (SELECT 1 FROM holds WHERE gateway_id = :id)",
        {"id": gateway_id},
    )
