"""The keys in the database."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from canteen.core.database import Connection, Row, Tables, insert
from canteen.core.errors import EngineError, InvalidRequest, KeyNotFound
from canteen.metering.keys.key import Key, Wanted, digest, new_id, new_secret
from canteen.metering.keys.limits import Cell, Limit, limits_of, period

_JSON = ("scopes", "models", "limits")


class KeyBook:
    """Keys by their ids; several gateways may share it. Every call blocks for milliseconds, and
    raises EngineError where the database cannot be used."""

    def __init__(self, tables: Tables, clock: Callable[[], float] = time.time) -> None:
        self._tables = tables
        self.clock = clock

    def create(self, wanted: Wanted) -> tuple[Key, str]:
        """Make a key; gives its secret too, which nobody can tell a second time."""
        key = Key(
            new_id(),
            wanted.name,
            tuple(dict.fromkeys(wanted.scopes)),
            wanted.model_names,
            dict(wanted.limits),
            created_s=self.clock(),
            expires_s=wanted.expires_s,
        )
        row = key.told() | {name: json.dumps(key.told()[name]) for name in _JSON}
        with self._tables.writing() as connection:
            insert(connection, "keys", row)
            secret = self._add_secret(connection, key.id)
        return key, secret

    def rotate(self, key_id: str, overlap_s: float) -> tuple[Key, str]:
        """Give a key another secret; those it has are good for `overlap_s` more seconds."""
        now_s = self.clock()
        with self._tables.writing() as connection:
            key = _one(connection, key_id)
            trouble = key.trouble(now_s)
            if trouble:
                raise InvalidRequest(f"key '{key.id}' {trouble}; create another", param="id")
            connection.execute(
                "UPDATE secrets SET expires_s = :then WHERE key_id = :id "
                "AND (expires_s IS NULL OR expires_s > :then)",
                {"id": key.id, "then": now_s + overlap_s},
            )
            secret = self._add_secret(connection, key.id)
        return key, secret

    def revoke(self, key_id: str) -> Key:
        """Let a key be good for nothing any more; doing it again changes nothing."""
        with self._tables.writing() as connection:
            key = _one(connection, key_id)
            revoked_s = key.revoked_s or self.clock()
            connection.execute(
                "UPDATE keys SET revoked_s = :now WHERE id = :id",
                {"id": key.id, "now": revoked_s},
            )
        return replace(key, revoked_s=revoked_s)

    def list(self) -> list[Key]:
        """Every key there was, the newest first."""
        with self._tables.writing() as connection:
            rows = connection.execute("SELECT * FROM keys ORDER BY created_s DESC, id")
        return [_key(row) for row in rows]

    def get(self, key_id: str) -> Key:
        """A key by its id; raises KeyNotFound."""
        with self._tables.writing() as connection:
            return _one(connection, key_id)

    def has_any(self) -> bool:
        """Whether there ever was a key."""
        question = "SELECT id FROM keys LIMIT 1"
        try:
            with self._tables.writing() as connection:
                return bool(connection.execute(question))
        except EngineError:
            # A disk that is full, or may not be written, can still be read.
            with self._tables.reading() as connection:
                return bool(connection.execute(question))

    def find(self, secret_digest: str) -> tuple[Key, float | None] | None:
        """The key of a secret by its digest, and when that secret ends; None where nobody has
        it."""
        with self._tables.reading() as connection:
            rows = connection.execute(
                "SELECT keys.*, secrets.expires_s AS secret_expires_s FROM secrets "
                "JOIN keys ON keys.id = secrets.key_id WHERE secrets.digest = :digest",
                {"digest": secret_digest},
            )
        return (_key(rows[0]), rows[0]["secret_expires_s"]) if rows else None

    def spent(self, key: Key) -> dict[str, dict[str, Any]]:
        """What a key has had in the periods that are now, by the names of its limits."""
        return self.spent_by([key])[0]

    def spent_by(self, keys: Sequence[Key]) -> Sequence[dict[str, dict[str, Any]]]:
        """The same of several keys."""
        now_s = self.clock()
        with self._tables.writing() as connection:
            return [_spent(connection, key, now_s) if key.limits else {} for key in keys]

    def _add_secret(self, connection: Connection, key_id: str) -> str:
        secret = new_secret()
        connection.execute(
            "INSERT INTO secrets (digest, key_id, created_s) VALUES (:digest, :key_id, :now)",
            {"digest": digest(secret), "key_id": key_id, "now": self.clock()},
        )
        return secret


def _told(limit: Limit, cell: Cell) -> dict[str, Any]:
    return {
        "most": limit.amount(limit.most),
        "used": limit.amount(cell.used),
        "held": limit.amount(cell.held),
    }


def _one(connection: Connection, key_id: str) -> Key:
    rows = connection.execute("SELECT * FROM keys WHERE id = :id", {"id": key_id})
    if not rows:
        raise KeyNotFound(key_id[:64])
    return _key(rows[0])


def _key(row: Row) -> Key:
    told = {name: json.loads(row[name]) for name in _JSON}
    return Key(
        row["id"],
        row["name"],
        tuple(told["scopes"]),
        tuple(told["models"]),
        told["limits"],
        row["created_s"],
        row["expires_s"],
        row["revoked_s"],
    )


def _spent(connection: Connection, key: Key, now_s: float) -> dict[str, dict[str, Any]]:
    rows = connection.execute("SELECT * FROM spent WHERE key_id = :id", {"id": key.id})
    cells = {
        (row["unit"], row["per"], row["begins_s"]): Cell(row["used"], row["held"]) for row in rows
    }
    told = {}
    for limit in limits_of(key.limits):
        begins_s, ends_s = period(limit.per, now_s)
        cell = cells.get((limit.unit, limit.per, begins_s), Cell())
        told[limit.name] = _told(limit, cell) | {"ends_s": ends_s or None}
    return told
