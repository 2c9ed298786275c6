"""Batches: many requests of one file, answered in the background, and written to another file."""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from canteen.core import database
from canteen.core.database import Connection, Row, Tables
from canteen.core.errors import InvalidRequest
from canteen.runtime.deferred.book import CANCELLED, LATE, DeferredBook, insert
from canteen.runtime.deferred.files import KEPT_S, File, new_file_id, put
from canteen.runtime.deferred.request import Deferred, body_of

Status = Literal["failed", "in_progress", "completed", "expired", "cancelling", "cancelled"]
OUTPUT = "batch_output"
_JSON = ("metadata", "errors")


@dataclass(frozen=True, slots=True)
class Batch:
    """Times are seconds since 1970; `errors` are of the lines of a file that cannot be read.
    `num_left` of its `num_lines` are not over. It has files once it is over, where something is
    in them."""

    id: str
    caller_id: str
    endpoint: str
    input_file_id: str
    completion_window: str
    created_s: float
    expires_s: float
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: Status = "in_progress"
    errors: Sequence[Mapping[str, Any]] = ()
    cancelling_s: float | None = None
    ended_s: float | None = None
    output_file_id: str = ""
    error_file_id: str = ""
    num_lines: int = 0
    num_left: int = 0
    num_completed: int = 0

    @property
    def num_failed(self) -> int:
        """Requests that are over and have no answer."""
        return self.num_lines - self.num_left - self.num_completed


_COLUMNS = tuple(Batch.__dataclass_fields__)


def new_batch_id() -> str:
    """An id that no other batch has."""
    return f"batch_{uuid.uuid4().hex}"


class Batches:
    """The batches of all callers. Every call blocks, and raises EngineError where the database
    cannot be used."""

    def __init__(self, tables: Tables, book: DeferredBook) -> None:
        self._tables = tables
        self._book = book

    def add(self, batch: Batch, lines: Iterable[Deferred]) -> None:
        """Keep a batch and its requests, all or none; raises Overloaded where too many wait."""
        row = {name: getattr(batch, name) for name in _COLUMNS}
        row |= {name: json.dumps(row[name]) for name in _JSON}
        with self._tables.writing() as connection:
            self._book.check_room(connection, batch.caller_id, batch.num_left)
            database.insert(connection, "batches", row)
            for line in lines:
                insert(connection, line)

    def get(self, batch_id: str) -> Batch | None:
        """A batch, or None where there is none."""
        with self._tables.writing() as connection:
            rows = []
            if batch_id.isprintable():
                rows = connection.execute("SELECT * FROM batches WHERE id = :id", {"id": batch_id})
        return _batch(rows[0]) if rows else None

    def all(self) -> list[Batch]:
        """Every batch, the newest first."""
        with self._tables.writing() as connection:
            rows = connection.execute("SELECT * FROM batches ORDER BY created_s DESC, id")
        return [_batch(row) for row in rows]

    def cancel(self, batch_id: str) -> None:
        """End what waits of a batch, and tell whoever answers the rest; raises InvalidRequest
        where it is over."""
        with self._tables.writing() as connection:
            rows = connection.execute(
                "UPDATE batches SET status = 'cancelling', cancelling_s = :now WHERE id = :id "
                "AND status IN ('in_progress', 'cancelling') RETURNING id",
                {"id": batch_id, "now": self._book.clock()},
            )
            if not rows:
                raise InvalidRequest(f"batch {batch_id} is over already", param="batch_id")
            _end_waiting(connection, batch_id, "cancelled", CANCELLED, self._book.clock())
            connection.execute(
                "UPDATE deferred SET wanted = 'cancel' WHERE batch_id = :id AND state = 'running'",
                {"id": batch_id},
            )

    def tidy(self) -> None:
        """End what waits of batches whose time is over, and forget those of long ago."""
        now_s = self._book.clock()
        with self._tables.writing() as connection:
            rows = connection.execute(
                "SELECT id, status FROM batches WHERE status = 'cancelling' "
                "OR (status = 'in_progress' AND expires_s <= :now) ORDER BY id",
                {"now": now_s},
            )
            old = {"then": now_s - KEPT_S}
            connection.execute("DELETE FROM batches WHERE ended_s < :then", old)
        for row in rows:
            with self._tables.writing() as connection:
                connection.execute("UPDATE batches SET id = id WHERE id = :id", row)
                is_late = row["status"] == "in_progress"
                how = ("failed", LATE) if is_late else ("cancelled", CANCELLED)
                _end_waiting(connection, row["id"], *how, now_s)


def _end_waiting(
    connection: Connection, batch_id: str, state: str, error: str, now_s: float
) -> None:
    """End all at once what nobody is at, of a batch whose row is locked."""
    ended = connection.execute(
        "UPDATE deferred SET state = :state, error = :error, ended_s = :now "
        "WHERE batch_id = :id AND state = 'queued' RETURNING id",
        {"id": batch_id, "state": state, "error": error, "now": now_s},
    )
    if ended:
        _count_off(connection, batch_id, len(ended), 0, now_s)


def line_ended(connection: Connection, one: Deferred) -> None:
    """A request has ended: if it is the last of a batch, that has too, and its files are there."""
    if not one.batch_id:
        return
    assert one.ended_s is not None
    _count_off(connection, one.batch_id, 1, int(one.state == "done"), one.ended_s)


def _count_off(
    connection: Connection, batch_id: str, num: int, num_good: int, now_s: float
) -> None:
    rows = connection.execute(
        "UPDATE batches SET num_left = num_left - :num, num_completed = num_completed + :good "
        "WHERE id = :id RETURNING *",
        {"id": batch_id, "num": num, "good": num_good},
    )
    if rows and rows[0]["num_left"] == 0:
        _complete(connection, _batch(rows[0]), now_s)


def _complete(connection: Connection, batch: Batch, now_s: float) -> None:
    """The answers go from the requests to the files, and with them the requests."""
    rows = connection.execute(
        "DELETE FROM deferred WHERE batch_id = :id RETURNING number, custom_id, id, state, status, "
        "answer_headers, answer, error",
        {"id": batch.id},
    )
    rows.sort(key=lambda row: row["number"])
    done = [_line(row) for row in rows if row["state"] == "done"]
    others = [_line(row) for row in rows if row["state"] != "done"]
    status: Status = "cancelled" if batch.status == "cancelling" else "completed"
    if status == "completed" and now_s >= batch.expires_s:
        status = "expired"
    connection.execute(
        "UPDATE batches SET status = :status, ended_s = :now, output_file_id = :output, "
        "error_file_id = :errors WHERE id = :id",
        {
            "id": batch.id,
            "status": status,
            "now": now_s,
            "output": _write(connection, batch, "output", done, now_s),
            "errors": _write(connection, batch, "error", others, now_s),
        },
    )


def _write(
    connection: Connection, batch: Batch, what: str, lines: Sequence[str], now_s: float
) -> str:
    """The id of a file of lines; empty, and no file, where there are none."""
    if not lines:
        return ""
    content = "".join(line + "\n" for line in lines)
    name = f"{batch.id}_{what}.jsonl"
    num_bytes = len(content.encode())
    file = File(new_file_id(), batch.caller_id, OUTPUT, name, num_bytes, now_s)
    put(connection, file, content)
    return file.id


def _line(row: Row) -> str:
    """A request and what came of it, as the files of OpenAI's batches have it. An answer goes in as
    it is: whoever waits for the database waits for this."""
    response, error = "null", None
    if row["status"] is not None:
        headers = json.loads(row["answer_headers"])
        told = {
            "status_code": row["status"],
            "request_id": headers.get("x-request-id", row["id"]),
        }
        is_line = "json" in headers.get("content-type", "") and "\n" not in row["answer"]
        body = row["answer"] if is_line else _json(body_of(row["answer"]))
        response = f'{_json(told)[:-1]}, "body": {body}}}'
    else:
        codes = {CANCELLED: "batch_cancelled", LATE: "batch_expired"}
        error = {"code": codes.get(row["error"], "internal_error"), "message": row["error"]}
    names = _json({"id": row["id"], "custom_id": row["custom_id"]})
    return f'{names[:-1]}, "response": {response}, "error": {_json(error)}}}'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _batch(row: Row) -> Batch:
    told = {name: row[name] for name in _COLUMNS}
    return Batch(**told | {name: json.loads(row[name]) for name in _JSON})
