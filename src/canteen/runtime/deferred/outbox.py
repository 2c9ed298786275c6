"""The transactional outbox: what is to be told to others is kept with what it tells of."""

import json
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from canteen.core.database import Connection, Row, Tables, insert

# Seconds after each try in vain; after the last, nobody tries any more.
PAUSES_S = (1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 18_000.0, 36_000.0)
# Who has taken a letter has so long to send it, before another does.
TAKEN_S = 30.0
KEPT_S = 7 * 24 * 3600.0
_JSON = ("headers",)


@dataclass(frozen=True, slots=True)
class Letter:
    """Something to tell `target`, by what `kind` says. Its id stays the same however often it is
    sent, so that who gets it twice knows. Times are seconds since 1970."""

    id: str
    kind: str
    target: str
    headers: Mapping[str, str]
    body: str
    created_s: float
    attempts: int = 0


def new_letter_id() -> str:
    """An id that no other letter has."""
    return f"msg_{uuid.uuid4().hex}"


def put(connection: Connection, letter: Letter) -> None:
    """Have a letter sent once the transaction is over."""
    insert(connection, "outbox", _row(letter) | {"due_s": letter.created_s, "error": ""})


class Outbox:
    """The letters of all gateways. Every call blocks for milliseconds, and raises EngineError
    where the database cannot be used."""

    def __init__(self, tables: Tables, clock: Callable[[], float] = time.time) -> None:
        self._tables = tables
        self._clock = clock
        self._has_looked = False

    def take(
        self, most: int, kinds: Collection[str], without: Collection[str] = ()
    ) -> list[Letter]:
        """Letters of these kinds to send now, which nobody else sends meanwhile, but to none of the
        targets `without`."""
        now_s = self._clock()
        told: Row = {f"kind_{number}": kind for number, kind in enumerate(kinds)}
        marks = ", ".join(f":{mark}" for mark in told)
        targets = {f"target_{number}": target for number, target in enumerate(without)}
        others = (
            f"AND target NOT IN ({', '.join(':' + one for one in targets)}) " if targets else ""
        )
        with self._tables.writing() as connection:
            rows = connection.execute(
                "WITH picked AS MATERIALIZED (SELECT id FROM outbox WHERE sent_s IS NULL "  # noqa: S608 - names of marks
                f"AND given_up_s IS NULL AND due_s <= :now AND kind IN ({marks}) {others}"
                f"ORDER BY due_s LIMIT :most {connection.skip_locked}) "
                "UPDATE outbox SET due_s = :until, attempts = attempts + 1 "
                "WHERE sent_s IS NULL AND id IN (SELECT id FROM picked) RETURNING *",
                told | targets | {"now": now_s, "until": now_s + TAKEN_S, "most": most},
            )
        self._has_looked = True
        return [_letter(row) for row in rows]

    def tidy(self) -> None:
        """Forget what is old."""
        then_s = self._clock() - KEPT_S
        with self._tables.writing() as connection:
            connection.execute(
                "DELETE FROM outbox WHERE created_s < :then "
                "AND (sent_s IS NOT NULL OR given_up_s IS NOT NULL)",
                {"then": then_s},
            )

    def is_empty(self) -> bool:
        """Whether nothing is due; for those who ask often."""
        if not self._has_looked:
            # There may be no tables to look into.
            return False
        question = (
            "SELECT id FROM outbox WHERE sent_s IS NULL AND given_up_s IS NULL "
            "AND due_s <= :now LIMIT 1"
        )
        with self._tables.reading() as connection:
            return not connection.execute(question, {"now": self._clock()})

    def sent(self, letter: Letter) -> None:
        """It has arrived."""
        with self._tables.writing() as connection:
            connection.execute(
                "UPDATE outbox SET sent_s = :now, error = '' WHERE id = :id",
                {"id": letter.id, "now": self._clock()},
            )

    def failed(self, letter: Letter, error: str, *, is_final: bool = False) -> None:
        """It has not arrived, and is sent again later, unless it was tried often enough or there
        is no hope."""
        now_s = self._clock()
        is_over = is_final or letter.attempts > len(PAUSES_S)
        pause_s = 0.0 if is_over else PAUSES_S[letter.attempts - 1]
        with self._tables.writing() as connection:
            connection.execute(
                "UPDATE outbox SET due_s = :due, error = :error, given_up_s = :given_up "
                "WHERE id = :id AND sent_s IS NULL",
                {
                    "id": letter.id,
                    "due": now_s + pause_s,
                    "error": error,
                    "given_up": now_s if is_over else None,
                },
            )

    def lag_s(self) -> float:
        """How long the oldest letter waits that is to be sent; 0 where none does."""
        with self._tables.reading() as connection:
            rows = connection.execute(
                "SELECT MIN(created_s) AS oldest_s FROM outbox "
                "WHERE sent_s IS NULL AND given_up_s IS NULL"
            )
        oldest_s = rows[0]["oldest_s"]
        return 0.0 if oldest_s is None else max(0.0, self._clock() - oldest_s)


def _row(letter: Letter) -> Row:
    told: dict[str, Any] = {name: getattr(letter, name) for name in Letter.__dataclass_fields__}
    return told | {name: json.dumps(dict(told[name])) for name in _JSON}


def _letter(row: Row) -> Letter:
    told = {name: row[name] for name in Letter.__dataclass_fields__}
    return Letter(**told | {name: json.loads(row[name]) for name in _JSON})
