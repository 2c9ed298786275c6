"""The SQL seam: the ledger's tables on SQLite or PostgreSQL, brought up to date when opened."""

import logging
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib import resources
from typing import Any, Protocol
from urllib.parse import quote

from canteen.core.database import Connection, Row
from canteen.core.errors import CanteenError, EngineError, InvalidRequest

logger = logging.getLogger(__name__)

# How long SQLite waits for another program that writes, and PostgreSQL for its server.
_PATIENCE_S = 5
# Any number, the same in all gateways: it names the lock under which one of them migrates.
_MIGRATING = 4_177_001
_NAMED = re.compile(r":(\w+)")


class NewerDatabase(CanteenError):
    """The database was written by a later release."""

    code = "newer_database"


class Trouble(Exception):
    """The database cannot be read or written now."""


class _Transaction(Connection, Protocol):
    """One that knows how far its tables are."""

    def version(self) -> int: ...


class Database:
    """One database. A transaction is a connection of its own, so threads share nothing;
    `connect` is asked for one, to write or only to read."""

    def __init__(self, connect: Callable[[bool], Any]) -> None:
        self._connect = connect
        self._is_migrated = False

    @contextmanager
    def begin(self) -> Iterator[_Transaction]:
        """A transaction, rolled back by an exception; raises Trouble."""
        with self._connect(True) as transaction:
            yield transaction

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction for a caller's change, on tables that are up to date; raises EngineError
        and NewerDatabase."""
        try:
            if not self._is_migrated:
                self.migrate()
                self._is_migrated = True
            with self.begin() as transaction:
                yield transaction
        except Trouble as error:
            raise _unavailable(error) from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction for a caller's question; raises EngineError."""
        try:
            with self._connect(False) as transaction:
                yield transaction
        except Trouble as error:
            raise _unavailable(error) from error

    def migrate(self) -> None:
        """Bring the tables up to date; raises NewerDatabase and Trouble."""
        with self.begin() as transaction:
            steps, version = _steps(), transaction.version()
            if version > len(steps):
                raise NewerDatabase(
                    f"the database has schema {version} and this release knows {len(steps)}; "
                    "use the release that wrote it, or another CANTEEN_DATABASE"
                )
            if version == 0:
                transaction.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
                transaction.execute("INSERT INTO schema_version VALUES (0)")
            for step in steps[version:]:
                for statement in step.split(";"):
                    if statement.strip():
                        transaction.execute(statement)
            transaction.execute("UPDATE schema_version SET version = :new", {"new": len(steps)})


def _unavailable(error: Trouble) -> EngineError:
    logger.error("the database cannot be used: %s", error)
    return EngineError(
        "the ledger cannot be read now; see CANTEEN_DATABASE and CANTEEN_HOME, and the log",
        code="ledger_unavailable",
    )


def connect(url: str) -> Database:
    """The database of `sqlite:///FILE` or `postgresql://…`; nothing is opened yet.

    Raises InvalidRequest for another URL, and where PostgreSQL's library is missing.
    """
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///")
        return Database(lambda to_write: _sqlite(path, to_write=to_write))
    if url.startswith(("postgresql://", "postgres://")):
        try:
            import psycopg
        except ImportError:
            raise InvalidRequest(
                "PostgreSQL needs its library: pip install 'canteen-llm[postgres]'",
                param="CANTEEN_DATABASE",
            ) from None
        return Database(lambda _: _postgresql(psycopg, url))
    raise InvalidRequest(
        "CANTEEN_DATABASE must be a URL: postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE",
        param="CANTEEN_DATABASE",
    )


def upsert(
    connection: Connection,
    table: str,
    keys: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    updated: Sequence[str] = (),
) -> list[Row]:
    """Insert rows; where one with the same keys is there, only the `updated` columns change.
    Gives those that were inserted or changed. Names are the program's own, values are bound."""
    written: list[Row] = []
    for row in rows:
        changes = ", ".join(f"{name} = excluded.{name}" for name in updated)
        then = f"UPDATE SET {changes}" if changes else "NOTHING"
        written += connection.execute(
            f"INSERT INTO {table} ({', '.join(row)}) "  # noqa: S608 - no name is a caller's
            f"VALUES ({', '.join(':' + name for name in row)}) "
            f"ON CONFLICT ({', '.join(keys)}) DO {then} RETURNING *",
            row,
        )
    return written


class _Sqlite:
    """A transaction on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Mapping[str, Any] = {}) -> list[Row]:
        return [dict(row) for row in self._connection.execute(sql, values)]

    def version(self) -> int:
        """How many steps the database has taken; 0 for an empty one."""
        found = self.execute("SELECT name FROM sqlite_master WHERE name = 'schema_version'")
        return int(self.execute("SELECT version FROM schema_version")[0]["version"]) if found else 0


class _Postgresql:
    """A transaction on PostgreSQL."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Mapping[str, Any] = {}) -> list[Row]:
        # Its own sign for a value is one of SQL's too.
        told = _NAMED.sub(r"%(\1)s", sql.replace("%", "%%"))
        cursor = self._connection.execute(told, values)
        return cursor.fetchall() if cursor.description else []

    def version(self) -> int:
        """How many steps; one gateway asks at a time, since what follows is to migrate."""
        self.execute("SELECT pg_advisory_xact_lock(:name)", {"name": _MIGRATING})
        found = self.execute("SELECT to_regclass('schema_version') IS NOT NULL AS found")
        if not found[0]["found"]:
            return 0
        return int(self.execute("SELECT version FROM schema_version")[0]["version"])


@contextmanager
def _sqlite(path: str, *, to_write: bool) -> Iterator[_Sqlite]:
    where = f"file:{quote(path)}?mode={'rwc' if to_write else 'ro'}"
    try:
        with closing(
            sqlite3.connect(where, _PATIENCE_S, isolation_level=None, uri=True)
        ) as connection:
            connection.row_factory = sqlite3.Row
            if to_write:
                connection.execute("PRAGMA journal_mode = WAL")
                # In WAL mode a killed process loses nothing by this; only a power cut may.
                connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("BEGIN IMMEDIATE" if to_write else "BEGIN")
            yield _Sqlite(connection)
            # Without it, closing rolls back.
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise Trouble(str(error)) from error


@contextmanager
def _postgresql(psycopg: Any, url: str) -> Iterator[_Postgresql]:
    try:
        with psycopg.connect(
            url, connect_timeout=_PATIENCE_S, row_factory=psycopg.rows.dict_row
        ) as connection:
            yield _Postgresql(connection)
    except psycopg.Error as error:
        raise Trouble(str(error).partition("\n")[0]) from error


def _steps() -> list[str]:
    folder = resources.files("canteen.metering.migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=str)
    return ["\n".join(_code(file.read_text())) for file in files]


def _code(step: str) -> list[str]:
    """Without comments, in which a semicolon would end a statement."""
    return [line for line in step.splitlines() if not line.startswith("--")]
