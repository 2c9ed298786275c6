"""Texts that callers leave for batches, and what batches make of them, in the database."""

import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass

from canteen.core.database import Connection, Row, Tables, insert
from canteen.core.errors import InvalidRequest

KEPT_S = 30 * 24 * 3600.0
# What the files of a caller may have together; those that batches write count, and are written.
MOST_BYTES_EACH = 1 << 30
_COLUMNS = "id, caller_id, purpose, filename, num_bytes, created_s"


@dataclass(frozen=True, slots=True)
class File:
    """What is known of a file without its content; `created_s` is of 1970."""

    id: str
    caller_id: str
    purpose: str
    filename: str
    num_bytes: int
    created_s: float


def new_file_id() -> str:
    """An id that no other file has."""
    return f"file-{uuid.uuid4().hex}"


def put(connection: Connection, file: File, content: str) -> None:
    """Keep a file in a transaction."""
    insert(connection, "files", asdict(file) | {"content": content})


class Files:
    """The files of all callers. Every call blocks, and raises EngineError where the database
    cannot be used."""

    def __init__(self, tables: Tables, clock: Callable[[], float] = time.time) -> None:
        self._tables = tables
        self._clock = clock

    def add(self, caller_id: str, purpose: str, filename: str, content: str) -> File:
        """Keep a text; raises InvalidRequest where its caller has too many."""
        now_s = self._clock()
        num_bytes = len(content.encode())
        file = File(new_file_id(), caller_id, purpose, filename, num_bytes, now_s)
        with self._tables.writing() as connection:
            rows = connection.execute(
                "SELECT SUM(num_bytes) AS num FROM files WHERE caller_id = :id", {"id": caller_id}
            )
            if (rows[0]["num"] or 0) + num_bytes > MOST_BYTES_EACH:
                raise InvalidRequest(
                    f"your files have more than {MOST_BYTES_EACH} bytes; delete some", param="file"
                )
            put(connection, file, content)
        return file

    def tidy(self) -> None:
        """Forget what is old."""
        then_s = self._clock() - KEPT_S
        with self._tables.writing() as connection:
            connection.execute("DELETE FROM files WHERE created_s < :then", {"then": then_s})

    def get(self, file_id: str) -> File | None:
        """A file, or None where there is none."""
        if not file_id.isprintable():
            return None
        rows = self._rows(f"SELECT {_COLUMNS} FROM files WHERE id = :id", {"id": file_id})  # noqa: S608 - own names
        return File(**rows[0]) if rows else None

    def content(self, file_id: str) -> str:
        """The text of a file; empty where there is none."""
        rows = self._rows("SELECT content FROM files WHERE id = :id", {"id": file_id})
        return str(rows[0]["content"]) if rows else ""

    def all(self) -> list[File]:
        """Every file, the newest first."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM files ORDER BY created_s DESC, id", {})  # noqa: S608 - own names
        return [File(**row) for row in rows]

    def remove(self, file_id: str) -> None:
        """Forget a file."""
        with self._tables.writing() as connection:
            connection.execute("DELETE FROM files WHERE id = :id", {"id": file_id})

    def _rows(self, sql: str, values: Row) -> list[Row]:
        with self._tables.writing() as connection:
            return connection.execute(sql, values)
