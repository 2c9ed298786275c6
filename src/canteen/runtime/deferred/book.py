"""The deferred requests in the database: who answers which, and what came of each."""

import json
import socket
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from canteen.core import database
from canteen.core.database import Connection, Row, Tables
from canteen.core.errors import InvalidRequest, JobNotFound, Overloaded
from canteen.core.processes import here, is_gone
from canteen.runtime.deferred.request import COLUMNS, Deferred, State, of_row, row_of, storable

KEPT_S = 7 * 24 * 3600.0
# So many may wait, of all callers together and of one.
MOST_WAITING, MOST_WAITING_EACH = 100_000, 20_000
# Who has ended so many gateways, or failed so often by a fault of ours, is not tried again.
MOST_ATTEMPTS = 4
LONGEST_LIST = 100
# Lines of batches go after everything else.
LINES_TURN = 1_000_000
_FULL_RETRY_AFTER_S = 30.0
# So many are ended in one transaction of tidying.
_MOST_ENDED = 500
CANCELLED = "somebody cancelled it"
LATE = "its time was over before it was its turn"
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


@dataclass(frozen=True, slots=True)
class Which:
    """Which requests are to be claimed: of `caller` alone, if there is one, and not of others."""

    caller: str | None = None
    not_of_callers: Collection[str] = ()
    not_of_models: Collection[str] = ()

    def where(self) -> tuple[str, Row]:
        """As SQL has it, with the values of its marks."""
        told: Row = {}
        words = ""
        if self.caller is not None:
            told["caller"], words = self.caller, " AND caller_id = :caller"
        for column, names in (
            ("caller_id", self.not_of_callers),
            ("model", self.not_of_models),
        ):
            marks = {f"{column}_{number}": name for number, name in enumerate(names)}
            told |= marks
            if marks:
                words += f" AND {column} NOT IN ({', '.join(':' + mark for mark in marks)})"
        return words, told


ALL = Which()


class DeferredBook:
    """Requests by their ids; several gateways may share it. Every call blocks, for milliseconds but
    where a batch ends, and raises EngineError where the database cannot be used.

    What is claimed is answered by this gateway, and ends once: with the same transaction come
    what `on_end` writes of it. Whoever changes a line of a batch locks the batch's row first.
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
        self._has_looked = False

    def add(self, one: Deferred) -> Deferred:
        """Keep a new request; where its caller's message has come before, gives that one, whose
        body may be another. Raises Overloaded where too many wait."""
        with self._tables.writing() as connection:
            there = _same(connection, one)
            if there is not None:
                return there
            num_mine = self.check_room(connection, one.caller_id, 1)
            # Who has left many takes turns with who has left few.
            if insert(connection, replace(one, turn=num_mine)):
                return one
            # Another gateway has kept the message meanwhile.
            return _same(connection, one) or _one(connection, one.id)

    def check_room(self, connection: Connection, caller_id: str, num_new: int) -> int:
        """Raises Overloaded where too many would wait; gives how many of the caller do."""
        mine = _count(connection, "AND caller_id = :caller", {"caller": caller_id})
        for num, most in (
            (_count(connection, "", {}), self._most_waiting),
            (mine, min(MOST_WAITING_EACH, self._most_waiting)),
        ):
            if num + num_new > most:
                raise Overloaded(
                    f"{num} requests wait already, and {most} are the most; send fewer, or ask "
                    "later",
                    retry_after_s=_FULL_RETRY_AFTER_S,
                )
        return mine

    def get(self, job_id: str) -> Deferred:
        """A request by its id; raises JobNotFound."""
        with self._tables.writing() as connection:
            return _one(connection, job_id)

    def find(self, caller_id: str, message_id: str) -> Deferred | None:
        """The request of a caller's message, or None."""
        one = Deferred("", "", "", 0.0, 0.0, caller_id=caller_id, message_id=message_id)
        with self._tables.writing() as connection:
            return _same(connection, one)

    def standing(self, job_id: str) -> tuple[State | None, int]:
        """The state and the attempts of a request that was there; for those who ask often."""
        with self._tables.reading() as connection:
            rows = connection.execute(
                "SELECT state, attempts FROM deferred WHERE id = :id", {"id": job_id}
            )
        return (rows[0]["state"], rows[0]["attempts"]) if rows else (None, 0)

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
        if not self._has_looked:
            # There may be no tables to look into.
            return False
        with self._tables.reading() as connection:
            return not connection.execute(
                "SELECT id FROM deferred WHERE state = 'queued' "
                "UNION ALL SELECT id FROM deferred WHERE state = 'running' LIMIT 1"
            )

    def num_waiting(self) -> int:
        """Requests that nobody is at, of all gateways."""
        with self._tables.reading() as connection:
            return _count(connection, "", {})

    def claim(self, most: int, which: Which = ALL) -> list[Deferred]:
        """Requests that this gateway is to answer now."""
        words, told = which.where()
        told |= {"now": self.clock(), "most": most, "owner": self._owner}
        with self._tables.writing() as connection:
            self._has_looked = True
            rows = connection.execute(
                "WITH picked AS MATERIALIZED (SELECT id FROM deferred WHERE state = 'queued' "  # noqa: S608 - names of marks
                f"AND not_before_s <= :now AND wanted = ''{words} ORDER BY turn, created_s "
                f"LIMIT :most {connection.skip_locked}) "
                "UPDATE deferred SET state = 'running', attempts = attempts + 1, "
                "started_s = COALESCE(started_s, :now), seen_s = :now, owner = :owner, "
                "host = :host, pid = :pid, born = :born WHERE state = 'queued' "
                "AND id IN (SELECT id FROM picked) RETURNING *",
                told | here(self._host),
            )
        return sorted(map(of_row, rows), key=lambda one: (one.turn, one.created_s))

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

    def postpone(self, job_id: str, pause_s: float, *, is_counted: bool = True) -> None:
        """A claimed request is to be tried again later; the try counts, if it is its own fault or
        ours. One that somebody has cancelled meanwhile ends."""
        with self._tables.writing() as connection:
            one = _one(connection, job_id)
            _lock_batch(connection, one)
            connection.execute(
                "UPDATE deferred SET state = 'queued', not_before_s = :then, owner = '', "
                "attempts = attempts - :back WHERE id = :id AND state = 'running' "
                "AND owner = :owner",
                {
                    "id": job_id,
                    "then": self.clock() + pause_s,
                    "back": 0 if is_counted else 1,
                    "owner": self._owner,
                },
            )
            self._end(connection, one, _CANCEL, _WANTED)

    def give_back(self) -> None:
        """All that this gateway is at is to be done by others; it is over."""
        with self._tables.writing() as connection:
            connection.execute(
                "UPDATE deferred SET state = 'queued', owner = '', attempts = attempts - 1 "
                "WHERE state = 'running' AND owner = :owner",
                {"owner": self._owner},
            )

    def cancel(self, job_id: str) -> Deferred:
        """End what waits, and tell whoever answers it; raises InvalidRequest where it is over."""
        with self._tables.writing() as connection:
            one = _one(connection, job_id)
            if one.is_over:
                raise InvalidRequest(f"job {one.id} is {one.state} already", param="job")
            _lock_batch(connection, one)
            # Whichever way it goes between the two, one of them meets it.
            connection.execute(
                "UPDATE deferred SET wanted = 'cancel' WHERE id = :id "
                "AND state IN ('queued', 'running')",
                {"id": one.id},
            )
            self._end(connection, one, _CANCEL, _WANTED)
            return _one(connection, job_id)

    def remove(self, job_id: str) -> None:
        """Forget one that is over; raises InvalidRequest for others."""
        with self._tables.writing() as connection:
            one = _one(connection, job_id)
            if not one.is_over or one.batch_id:
                raise InvalidRequest(f"job {one.id} is {one.state}; cancel it first", param="job")
            connection.execute("DELETE FROM deferred WHERE id = :id", {"id": one.id})

    def tidy(self) -> None:
        """Forget what is old, end what is too late or was cancelled, and let others have what a
        gateway left that is no more."""
        now_s = self.clock()
        with self._tables.writing() as connection:
            connection.execute(
                "DELETE FROM deferred WHERE created_s < :then AND ended_s < :then "
                "AND batch_id = '' AND state NOT IN ('queued', 'running')",
                {"then": now_s - KEPT_S},
            )
            # Those of batches are ended by their batches.
            over = connection.execute(
                "SELECT * FROM deferred WHERE state = 'queued' AND batch_id = '' "
                "AND (deadline_s <= :now OR wanted = 'cancel') LIMIT :most",
                {"now": now_s, "most": _MOST_ENDED},
            )
            left = connection.execute(
                "SELECT * FROM deferred WHERE state = 'running' AND owner <> :owner",
                {"owner": self._owner},
            )
        for row in over:
            with self._tables.writing() as connection:
                is_late = row["wanted"] != "cancel"
                ended = Ended("failed", error=LATE) if is_late else _CANCEL
                self._end(connection, of_row(row), ended, "state = 'queued'")
        for row in left:
            if is_gone(row, self._host, now_s):
                self._inherit(row)

    def _inherit(self, row: Row) -> None:
        """What a gateway that is no more was at is to be done again, unless that happens too
        often, or somebody has cancelled it."""
        one = of_row(row)
        with self._tables.writing() as connection:
            _lock_batch(connection, one)
            changed = connection.execute(
                "UPDATE deferred SET state = 'queued', owner = '' WHERE id = :id "
                "AND state = 'running' AND owner = :left RETURNING attempts",
                {"id": one.id, "left": row["owner"]},
            )
            self._end(connection, one, _CANCEL, _WANTED)
            if changed and one.attempts >= MOST_ATTEMPTS:
                ended = Ended("failed", error=f"the service ended {one.attempts} times at it")
                self._end(connection, one, ended, "state = 'queued'")

    def _end(self, connection: Connection, one: Deferred, ended: Ended, where: str) -> bool:
        _lock_batch(connection, one)
        told = {
            "state": ended.state,
            "status": ended.status,
            "answer_headers": json.dumps(dict(ended.headers)),
            "answer": storable(ended.body),
            "error": storable(ended.error),
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


_CANCEL = Ended("cancelled", error=CANCELLED)
_WANTED = "state = 'queued' AND wanted = 'cancel'"


def insert(connection: Connection, one: Deferred) -> bool:
    """Keep a request in a transaction; false where its message is there."""
    ending = "ON CONFLICT DO NOTHING RETURNING id"
    return bool(database.insert(connection, "deferred", row_of(one), ending))


def _lock_batch(connection: Connection, one: Deferred) -> None:
    if one.batch_id:
        connection.execute("UPDATE batches SET id = id WHERE id = :id", {"id": one.batch_id})


def _count(connection: Connection, where: str, values: Row) -> int:
    rows = connection.execute(
        f"SELECT COUNT(*) AS num FROM deferred WHERE state = 'queued' {where}",  # noqa: S608 - own words
        values,
    )
    return int(rows[0]["num"])


def _one(connection: Connection, job_id: str) -> Deferred:
    rows = []
    if job_id.isprintable():
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
