"""The deferred requests in the database: who answers which, and what came of each."""

import json
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from canteen.core.database import Connection, Row, Tables
from canteen.core.errors import InvalidRequest, JobNotFound, Overloaded
from canteen.core.processes import here, is_gone
from canteen.runtime.deferred.request import COLUMNS, Deferred, State, of_row, row_of

KEPT_S = 7 * 24 * 3600.0
# So many may wait, of all callers together.
MOST_WAITING = 100_000
# Who has ended so many gateways, or failed so often by a fault of ours, is not tried again.
MOST_ATTEMPTS = 4
LONGEST_LIST = 100
_FULL_RETRY_AFTER_S = 30.0
_TIDY_EVERY_S = 10.0
# Called in the transaction in which a request ends.
OnEnd = Callable[[Connection, Deferred], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a request ended: what was answered, or why nothing was."""

    state: State
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    error: str = ""


class DeferredBook:
    """Requests by their ids; several gateways may share it. Every call blocks for milliseconds,
    and raises EngineError where the database cannot be used.

    What is claimed is answered by this gateway, and ends once: with the same transaction come
    what `on_end` writes of it.
    """

    def __init__(
        self,
        tables: Tables,
        on_end: Sequence[OnEnd] = (),
        clock: Callable[[], float] = time.time,
        host: str = "",
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._most_waiting = most_waiting
        self._tables = tables
        self._on_end = on_end
        self.clock = clock
        self._host = host or socket.gethostname()
        self._owner = uuid.uuid4().hex
        self._tidied_s = float("-inf")

    def add(self, one: Deferred) -> Deferred:
        """Keep a new request; where its caller's message has come before, gives that one, whose
        body may be another. Raises Overloaded where too many wait."""
        with self._tables.writing() as connection:
            there = _same(connection, one)
            if there is not None:
                return there
            self.check_room(connection, 1)
            # Another gateway may have kept the message meanwhile.
            return one if insert(connection, one) else _same(connection, one) or one

    def check_room(self, connection: Connection, num_new: int) -> None:
        """Raises Overloaded where too many would wait."""
        rows = connection.execute(
            "SELECT COUNT(*) AS num FROM (SELECT 1 FROM deferred WHERE state = 'queued' "
            "LIMIT :most) AS waiting",
            {"most": self._most_waiting},
        )
        if rows[0]["num"] + num_new > self._most_waiting:
            raise Overloaded(
                f"{rows[0]['num']} requests wait already, and {self._most_waiting} are the most; "
                "send fewer, or ask later",
                retry_after_s=_FULL_RETRY_AFTER_S,
            )

    def get(self, job_id: str) -> Deferred:
        """A request by its id; raises JobNotFound."""
        with self._tables.writing() as connection:
            return _one(connection, job_id)

    def newest(self, caller_id: str | None = None) -> list[Deferred]:
        """The newest of a caller, or of all, that are no lines of a batch; without bodies."""
        columns = ", ".join(name for name in COLUMNS if name not in ("body", "answer"))
        whose = "AND caller_id = :caller" if caller_id is not None else ""
        with self._tables.writing() as connection:
            rows = connection.execute(
                f"SELECT {columns} FROM deferred WHERE number = 0 {whose} "  # noqa: S608 - own names
                "ORDER BY created_s DESC, id LIMIT :most",
                {"caller": caller_id, "most": LONGEST_LIST},
            )
        return [of_row(row | {"body": "", "answer": ""}) for row in rows]

    def is_idle(self) -> bool:
        """Whether nothing is to be done; for those who ask often."""
        if self._tidied_s < 0:
            # Nobody has looked yet; there may be no tables to look into.
            return False
        with self._tables.reading() as connection:
            return not connection.execute(
                "SELECT id FROM deferred WHERE state = 'running' AND owner <> :owner "
                "UNION ALL SELECT id FROM deferred WHERE state = 'queued' LIMIT 1",
                {"owner": self._owner},
            )

    def num_waiting(self) -> int:
        """Requests that nobody is at, of all gateways."""
        with self._tables.reading() as connection:
            rows = connection.execute("SELECT COUNT(*) AS num FROM deferred WHERE state = 'queued'")
        return int(rows[0]["num"])

    def claim(self, most: int) -> list[Deferred]:
        """Requests that this gateway is to answer now; those of gateways that are no more too."""
        now_s = self.clock()
        with self._tables.writing() as connection:
            self._tidy(connection, now_s)
            rows = connection.execute(
                "UPDATE deferred SET state = 'running', attempts = attempts + 1, "
                "started_s = COALESCE(started_s, :now), seen_s = :now, owner = :owner, "
                "host = :host, pid = :pid, born = :born WHERE state = 'queued' AND id IN "
                "(SELECT id FROM deferred WHERE state = 'queued' AND not_before_s <= :now "
                "ORDER BY number, created_s LIMIT :most) RETURNING *",
                {"now": now_s, "most": most, "owner": self._owner} | here(self._host),
            )
        return sorted(map(of_row, rows), key=lambda one: (one.number, one.created_s))

    def beat(self) -> dict[str, str]:
        """This gateway is at them; what somebody wants of each, empty if nothing, by their ids.
        What is not among them is not this gateway's any more."""
        with self._tables.writing() as connection:
            rows = connection.execute(
                "UPDATE deferred SET seen_s = :now WHERE state = 'running' AND owner = :owner "
                "RETURNING id, wanted",
                {"now": self.clock(), "owner": self._owner},
            )
        return {row["id"]: row["wanted"] for row in rows}

    def finish(self, one: Deferred, ended: Ended) -> bool:
        """Keep how a claimed request ended; false, and nothing is kept, where it is not this
        gateway's any more."""
        with self._tables.writing() as connection:
            return self._end(connection, one, ended, "state = 'running' AND owner = :owner")

    def postpone(self, one: Deferred, pause_s: float, *, is_counted: bool = True) -> None:
        """A claimed request is to be tried again later; the try counts, if it is its own fault or
        ours."""
        with self._tables.writing() as connection:
            connection.execute(
                "UPDATE deferred SET state = 'queued', not_before_s = :then, owner = '', "
                "attempts = attempts - :back WHERE id = :id AND state = 'running' "
                "AND owner = :owner",
                {
                    "id": one.id,
                    "then": self.clock() + pause_s,
                    "back": 0 if is_counted else 1,
                    "owner": self._owner,
                },
            )

    def cancel(self, job_id: str) -> Deferred:
        """End what waits, and tell whoever answers it; raises InvalidRequest where it is over."""
        with self._tables.writing() as connection:
            one = _one(connection, job_id)
            if one.is_over:
                raise InvalidRequest(f"job {one.id} is {one.state} already", param="job")
            self._cancel(connection, one)
            return _one(connection, job_id)

    def _cancel(self, connection: Connection, one: Deferred) -> None:
        ended = Ended("cancelled", error="somebody cancelled it")
        if not self._end(connection, one, ended, "state = 'queued'"):
            connection.execute(
                "UPDATE deferred SET wanted = 'cancel' WHERE id = :id AND state = 'running'",
                {"id": one.id},
            )

    def cancel_batch(self, connection: Connection, batch_id: str) -> None:
        """End all lines of a batch that wait, and tell whoever answers the others."""
        for row in connection.execute(
            "SELECT * FROM deferred WHERE batch_id = :id AND state IN ('queued', 'running')",
            {"id": batch_id},
        ):
            self._cancel(connection, of_row(row))

    def remove(self, job_id: str) -> None:
        """Forget one that is over; raises InvalidRequest for others."""
        with self._tables.writing() as connection:
            one = _one(connection, job_id)
            if not one.is_over:
                raise InvalidRequest(f"job {one.id} is {one.state}; cancel it first", param="job")
            connection.execute("DELETE FROM deferred WHERE id = :id", {"id": one.id})

    def _end(self, connection: Connection, one: Deferred, ended: Ended, where: str) -> bool:
        told = {
            "state": ended.state,
            "status": ended.status,
            "answer_headers": json.dumps(dict(ended.headers)),
            "answer": ended.body,
            "error": ended.error,
            "ended_s": self.clock(),
        }
        changes = ", ".join(f"{name} = :{name}" for name in told)
        rows = connection.execute(
            f"UPDATE deferred SET {changes} WHERE id = :id AND {where} RETURNING *",  # noqa: S608 - own names
            told | {"id": one.id, "owner": self._owner},
        )
        for row in rows:
            for hook in self._on_end:
                hook(connection, of_row(row))
        return bool(rows)

    def _tidy(self, connection: Connection, now_s: float) -> None:
        """Forget what is old, end what is too late, and let others have what a gateway left."""
        if now_s < self._tidied_s + _TIDY_EVERY_S:
            return
        self._tidied_s = now_s
        connection.execute(
            "DELETE FROM deferred WHERE created_s < :then AND state NOT IN ('queued', 'running')",
            {"then": now_s - KEPT_S},
        )
        for row in connection.execute(
            "SELECT * FROM deferred WHERE state = 'queued' AND deadline_s <= :now", {"now": now_s}
        ):
            late = Ended("failed", error="its time was over before it was its turn")
            self._end(connection, of_row(row), late, "state = 'queued'")
        for row in connection.execute(
            "SELECT * FROM deferred WHERE state = 'running' AND owner <> :owner",
            {"owner": self._owner},
        ):
            if is_gone(row, self._host, now_s):
                self._inherit(connection, row)

    def _inherit(self, connection: Connection, row: Row) -> None:
        """What a gateway that is no more was at is to be done again, unless that happens too
        often, or somebody has cancelled it."""
        ended = None
        if row["wanted"] == "cancel":
            ended = Ended("cancelled", error="somebody cancelled it")
        elif row["attempts"] >= MOST_ATTEMPTS:
            ended = Ended("failed", error=f"the service ended {row['attempts']} times at it")
        changed = connection.execute(
            "UPDATE deferred SET state = 'queued', owner = '' WHERE id = :id "
            "AND state = 'running' AND owner = :left RETURNING id",
            {"id": row["id"], "left": row["owner"]},
        )
        if changed and ended is not None:
            self._end(connection, of_row(row), ended, "state = 'queued'")


def _one(connection: Connection, job_id: str) -> Deferred:
    rows = connection.execute("SELECT * FROM deferred WHERE id = :id", {"id": job_id})
    if not rows:
        raise JobNotFound(job_id)
    return of_row(rows[0])


def _same(connection: Connection, one: Deferred) -> Deferred | None:
    """What is there of a message."""
    rows = connection.execute(
        "SELECT * FROM deferred WHERE caller_id = :caller_id AND message_id = :message_id "
        "AND message_id <> ''",
        {"caller_id": one.caller_id, "message_id": one.message_id},
    )
    return of_row(rows[0]) if rows else None


def insert(connection: Connection, one: Deferred) -> bool:
    """Keep a request in a transaction; false where its message is there."""
    row = row_of(one)
    return bool(
        connection.execute(
            f"INSERT INTO deferred ({', '.join(row)}) "  # noqa: S608 - own names
            f"VALUES ({', '.join(':' + name for name in row)}) ON CONFLICT DO NOTHING RETURNING id",
            row,
        )
    )
