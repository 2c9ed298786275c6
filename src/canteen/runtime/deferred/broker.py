"""Messages over a table of a database: PostgreSQL as the broker that most services have already.

Who sends inserts a row into a channel, in a transaction of its own work if it likes; who receives
takes rows for a while, and deletes them when what they ask for is kept.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from canteen.core.database import Row, Tables, insert

# Who has taken a message has so long to keep it, before another may; that it is kept twice is
# nothing, since its id is the same.
TAKEN_S = 10.0
_TABLE = """
CREATE TABLE IF NOT EXISTS canteen_messages (
    channel TEXT NOT NULL,
    id TEXT NOT NULL,
    headers TEXT NOT NULL,
    body TEXT NOT NULL,
    created_s DOUBLE PRECISION NOT NULL DEFAULT 0,
    due_s DOUBLE PRECISION NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    rejected TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (channel, id)
)"""
# A lock under which one of several gateways makes the table; any number that is the same for all.
_MAKING = "SELECT pg_advisory_xact_lock(4177002)"


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a channel. Its id is its sender's, and the same however often it comes."""

    channel: str
    id: str
    headers: Mapping[str, str]
    body: str
    attempts: int = 0


class Broker(Protocol):
    """Carries messages, each at least once. Every call blocks, and raises EngineError where the
    broker cannot be used."""

    def open(self) -> None:
        """Make what it needs, if it is not there; to be called first."""
        ...

    def receive(self, channel: str, most: int) -> list[Message]:
        """Messages that nobody else gets for a while."""
        ...

    def settle(self, message: Message) -> None:
        """What a message asks for is kept; it does not come again."""
        ...

    def reject(self, message: Message, why: str) -> None:
        """A message cannot be read: it is put aside, for people to look at."""
        ...

    def publish(self, message: Message) -> None:
        """Put a message into its channel, once for each id."""
        ...


class TableBroker:
    """A broker of one table, `canteen_messages`."""

    def __init__(
        self, tables: Tables, *, is_postgresql: bool, clock: Callable[[], float] = time.time
    ) -> None:
        self._tables = tables
        self._is_postgresql = is_postgresql
        self._clock = clock

    def open(self) -> None:
        """Make the table, if it is not there."""
        with self._tables.writing() as connection:
            if self._is_postgresql:
                connection.execute(_MAKING)
            connection.execute(_TABLE)

    def receive(self, channel: str, most: int) -> list[Message]:
        """The oldest that are not rejected, and that nobody has taken lately."""
        now_s = self._clock()
        told = {"channel": channel, "now": now_s, "until": now_s + TAKEN_S, "most": most}
        with self._tables.writing() as connection:
            rows = connection.execute(
                "WITH picked AS MATERIALIZED (SELECT id FROM canteen_messages "  # noqa: S608 - own words
                "WHERE channel = :channel AND rejected = '' AND due_s <= :now "
                f"ORDER BY created_s, id LIMIT :most {connection.skip_locked}) "
                "UPDATE canteen_messages SET due_s = :until, attempts = attempts + 1 "
                "WHERE channel = :channel AND due_s <= :now "
                "AND id IN (SELECT id FROM picked) RETURNING *",
                told,
            )
        return [_message(row) for row in rows]

    def settle(self, message: Message) -> None:
        """It is taken out of the table."""
        with self._tables.writing() as connection:
            connection.execute(
                "DELETE FROM canteen_messages WHERE channel = :channel AND id = :id",
                {"channel": message.channel, "id": message.id},
            )

    def reject(self, message: Message, why: str) -> None:
        """It stays in the table with the reason, and comes no more: a dead letter."""
        with self._tables.writing() as connection:
            connection.execute(
                "UPDATE canteen_messages SET rejected = :why WHERE channel = :channel AND id = :id",
                {"channel": message.channel, "id": message.id, "why": why},
            )

    def publish(self, message: Message) -> None:
        """It is inserted, unless it is there."""
        with self._tables.writing() as connection:
            row = {
                "channel": message.channel,
                "id": message.id,
                "headers": json.dumps(dict(message.headers)),
                "body": message.body,
                "created_s": self._clock(),
            }
            insert(connection, "canteen_messages", row, "ON CONFLICT DO NOTHING")


def _message(row: Row) -> Message:
    """Headers that are none are seen by who reads the message."""
    try:
        headers = json.loads(row["headers"])
    except (ValueError, RecursionError):
        headers = None
    told = headers if isinstance(headers, dict) else {}
    texts = {str(name): str(value) for name, value in told.items()}
    return Message(row["channel"], row["id"], texts, row["body"], row["attempts"])
