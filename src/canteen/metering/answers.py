"""Answers kept for callers that may ask again: one a request, for a day, within a bound."""

import json
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from canteen.core.database import Connection, Row, Tables
from canteen.core.processes import here, is_gone
from canteen.metering.store import upsert

KEPT_S = 24 * 3600.0
# What all kept answers may take, and one of them; the oldest go first.
MOST_BYTES = 256 << 20
LARGEST_BYTES = 4 << 20
# What a row takes besides its answer.
_ROW_BYTES = 1 << 10
_TIDY_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: status, headers and body of HTTP."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str


# `mine`: it is to be made now, by who asked; `running`: another gateway makes it; `reused`: its
# key was another request's.
Standing = Answer | Literal["mine", "running", "reused"]


class Answers:
    """The kept answers, as one gateway sees them. Every call blocks for milliseconds, and raises
    EngineError where the database cannot be used."""

    def __init__(
        self,
        tables: Tables,
        clock: Callable[[], float] = time.time,
        host: str = "",
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._tables = tables
        self._clock = clock
        self._host = host or socket.gethostname()
        self._most_bytes = most_bytes
        self._owner = uuid.uuid4().hex
        self._tidied_s = 0.0

    def claim(self, answer_id: str, body_digest: str) -> Standing:
        """The answer of a request, or whose turn it is to make it; not to be asked for one that
        this gateway is making."""
        now_s = self._clock()
        row = {
            "id": answer_id,
            "body_digest": body_digest,
            "owner": self._owner,
            "created_s": now_s,
            "seen_s": now_s,
        } | here(self._host)
        with self._tables.writing() as connection:
            self._tidy(connection, now_s)
            if upsert(connection, "answers", ("id",), [row]):
                return "mine"
            there = connection.execute("SELECT * FROM answers WHERE id = :id", row)
            # Where it has gone meanwhile, who asks once more will see.
            return self._standing(connection, there[0], row) if there else "running"

    def keep(self, answer_id: str, answer: Answer) -> None:
        """Keep what was made; too large an answer is not, and may be made again."""
        num_bytes = len(answer.body.encode())
        if num_bytes > LARGEST_BYTES:
            self.release(answer_id)
            return
        with self._tables.writing() as connection:
            connection.execute(
                "UPDATE answers SET status = :status, headers = :headers, body = :body, "
                "num_bytes = :num_bytes WHERE id = :id AND owner = :owner",
                {
                    "id": answer_id,
                    "owner": self._owner,
                    "status": answer.status,
                    "headers": json.dumps(answer.headers),
                    "body": answer.body,
                    "num_bytes": num_bytes,
                },
            )

    def release(self, answer_id: str) -> None:
        """Nothing was made that is to be kept."""
        with self._tables.writing() as connection:
            connection.execute(
                "DELETE FROM answers WHERE id = :id AND owner = :owner AND status IS NULL",
                {"id": answer_id, "owner": self._owner},
            )

    def beat(self, answer_id: str) -> None:
        """It is still being made."""
        with self._tables.writing() as connection:
            connection.execute(
                "UPDATE answers SET seen_s = :now WHERE id = :id AND owner = :owner",
                {"now": self._clock(), "id": answer_id, "owner": self._owner},
            )

    def _standing(self, connection: Connection, there: Row, mine: Row) -> Standing:
        is_running = there["status"] is None
        if is_running and self._is_dead(there, mine["created_s"]):
            return self._taken_over(connection, there, mine)
        if there["body_digest"] != mine["body_digest"]:
            return "reused"
        if is_running:
            return "running"
        headers = tuple((name, value) for name, value in json.loads(there["headers"]))
        return Answer(there["status"], headers, there["body"])

    def _taken_over(self, connection: Connection, there: Row, mine: Row) -> Standing:
        """Of several gateways that find a dead one's, one is to make it."""
        changed = connection.execute(
            "UPDATE answers SET body_digest = :body_digest, owner = :owner, host = :host, "
            "pid = :pid, born = :born, created_s = :created_s, seen_s = :seen_s "
            "WHERE id = :id AND owner = :dead RETURNING id",
            mine | {"dead": there["owner"]},
        )
        return "mine" if changed else "running"

    def _is_dead(self, row: Row, now_s: float) -> bool:
        """Whether who was making it is no more; a process that is stopped still is."""
        return row["owner"] == self._owner or is_gone(row, self._host, now_s)

    def _tidy(self, connection: Connection, now_s: float) -> None:
        """Forget what is too old, and the oldest where all is too much."""
        connection.execute("DELETE FROM answers WHERE created_s < :then", {"then": now_s - KEPT_S})
        if now_s < self._tidied_s + _TIDY_EVERY_S:
            return
        self._tidied_s = now_s
        connection.execute(
            "DELETE FROM answers WHERE id IN (SELECT id FROM (SELECT id, SUM(num_bytes + :row) "
            "OVER (ORDER BY created_s DESC, id) AS total FROM answers WHERE status IS NOT NULL) "
            "AS kept WHERE total > :most)",
            {"row": _ROW_BYTES, "most": self._most_bytes},
        )
