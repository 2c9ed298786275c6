"""The SQL seam: the ledger's tables on SQLite or PostgreSQL, brought up to date when opened."""

import logging
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from importlib import resources
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from canteen.core.database import Connection, Row, insert
from canteen.core.errors import CanteenError, EngineError, InvalidRequest

logger = logging.getLogger(__name__)

# The setting that names the database, for what is said of it.
DATABASE = "CANTEEN_DATABASE"
# How long SQLite waits for another program that writes, and PostgreSQL for its server.
_PATIENCE_S = 5
_LOOK_EVERY_S = 0.005
# Any number, the same in all gateways: it names the lock under which one of them migrates.
_MIGRATING = 4_177_001
T = TypeVar("T")
_NAMED = re.compile(r":(\w+)")


class NewerDatabase(CanteenError):
    """The database was written by a later release."""

    code = "newer_database"


class Trouble(Exception):
    """The database cannot be read or written now."""


class _Busy(Trouble):
    """Somebody else is writing."""


class _Transaction(Connection, Protocol):
    """One that knows how far its tables are."""

    def version(self) -> int: ...


class _Driver(Protocol):
    """How a kind of database is spoken to; both raise Trouble."""

    is_at_hand: bool

    def open(self, *, to_write: bool, may_wait: bool = True) -> Any:
        """A connection."""
        ...

    def within(
        self, connection: Any, *, to_write: bool = True
    ) -> AbstractContextManager[_Transaction]:
        """A transaction on it."""
        ...


class Database:
    """One database. A transaction is a connection of its own, so threads share nothing."""

    def __init__(self, driver: _Driver, setting: str = DATABASE, *, is_own: bool = True) -> None:
        self._driver = driver
        self._setting = setting
        self._is_migrated = not is_own

    def kept(self) -> "Kept":
        """The same database over a connection that stays open, for one who writes often and not
        from two threads at once."""
        return Kept(self._driver)

    def at_once(self) -> "AtOnce | None":
        """The same database for a thread that may not wait; None where it is asked over a
        network."""
        return AtOnce(self._driver) if self._driver.is_at_hand else None

    @contextmanager
    def begin(self) -> Iterator[_Transaction]:
        """A transaction, rolled back by an exception; raises Trouble."""
        with (
            closing(self._driver.open(to_write=True)) as connection,
            self._driver.within(connection) as transaction,
        ):
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
            raise _unavailable(error, self._setting) from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction for a caller's question; raises EngineError."""
        try:
            with (
                closing(self._driver.open(to_write=False)) as connection,
                self._driver.within(connection, to_write=False) as transaction,
            ):
                yield transaction
        except Trouble as error:
            raise _unavailable(error, self._setting) from error

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


class Kept(Database):
    """A database whose writing transactions have one connection. After trouble there is another
    one."""

    def __init__(self, driver: _Driver) -> None:
        super().__init__(driver)
        self._connection: Any = None

    @contextmanager
    def begin(self) -> Iterator[_Transaction]:
        """A transaction, rolled back by an exception; raises Trouble."""
        if self._connection is None:
            self._connection = self._driver.open(to_write=True)
        try:
            with self._driver.within(self._connection) as transaction:
                yield transaction
        except Trouble:
            self.close()
            raise

    def close(self) -> None:
        """Close its connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class AtOnce:
    """A database for a thread that may not wait: neither for another that writes, nor for the disk,
    so what it wrote is moved from the database's log to its place by others."""

    def __init__(self, driver: _Driver) -> None:
        self._driver = driver
        self._connection: Any = None

    def write(self, work: Callable[[Connection], T]) -> T | None:
        """Do some work in a transaction; None where that cannot be now, and then nothing is
        written."""
        try:
            if self._connection is None:
                self._connection = self._driver.open(to_write=True, may_wait=False)
            with self._driver.within(self._connection) as transaction:
                return work(transaction)
        except _Busy:
            return None
        except Trouble:
            self.close()
            return None

    def close(self) -> None:
        """Close its connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _unavailable(error: Trouble, setting: str) -> EngineError:
    logger.error("the database of %s cannot be used: %s", setting, error)
    what = "ledger" if setting == DATABASE else "broker"
    return EngineError(
        f"the {what} cannot be read or written now; see {setting} and CANTEEN_HOME, and the log",
        code="ledger_unavailable",
    )


def connect(url: str, *, setting: str = DATABASE, is_own: bool = True) -> Database:
    """The database of `sqlite:///FILE` or `postgresql://…`; nothing is opened yet. One that is not
    our own gets none of our tables.

    Raises InvalidRequest for another URL, and where PostgreSQL's library is missing.
    """
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///")
        return Database(_SqliteDriver(path), setting, is_own=is_own)
    if url.startswith(("postgresql://", "postgres://")):
        try:
            import psycopg
        except ImportError:
            raise InvalidRequest(
                "PostgreSQL needs its library: pip install 'canteen-llm[postgres]'",
                param=setting,
            ) from None
        return Database(_PostgresqlDriver(psycopg, url), setting, is_own=is_own)
    raise InvalidRequest(
        f"{setting} must be a URL: postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE",
        param=setting,
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
        ending = f"ON CONFLICT ({', '.join(keys)}) DO {then} RETURNING *"
        written += insert(connection, table, row, ending)
    return written


class _Sqlite:
    """A transaction on SQLite."""

    skip_locked = ""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Mapping[str, Any] = {}) -> list[Row]:
        return [dict(row) for row in self._connection.execute(sql, values)]

    def lock(self, name: str) -> None:
        """Nobody else can write."""

    def version(self) -> int:
        """How many steps the database has taken; 0 for an empty one."""
        found = self.execute("SELECT name FROM sqlite_master WHERE name = 'schema_version'")
        return int(self.execute("SELECT version FROM schema_version")[0]["version"]) if found else 0


class _Postgresql:
    """A transaction on PostgreSQL."""

    skip_locked = "FOR UPDATE SKIP LOCKED"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Mapping[str, Any] = {}) -> list[Row]:
        # Its own sign for a value is one of SQL's too.
        told = _NAMED.sub(r"%(\1)s", sql.replace("%", "%%"))
        cursor = self._connection.execute(told, {name: _text(one) for name, one in values.items()})
        return cursor.fetchall() if cursor.description else []

    def lock(self, name: str) -> None:
        self.execute("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))", {"name": name})

    def version(self) -> int:
        """How many steps; one gateway asks at a time, since what follows is to migrate."""
        self.execute("SELECT pg_advisory_xact_lock(:name)", {"name": _MIGRATING})
        found = self.execute("SELECT to_regclass('schema_version') IS NOT NULL AS found")
        if not found[0]["found"]:
            return 0
        return int(self.execute("SELECT version FROM schema_version")[0]["version"])


def _text(value: Any) -> Any:
    """A value that PostgreSQL takes: it has no NUL in its texts."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


class _SqliteDriver:
    """A file."""

    is_at_hand = True

    def __init__(self, path: str) -> None:
        self._path = path

    def open(self, *, to_write: bool, may_wait: bool = True) -> sqlite3.Connection:
        where = f"file:{quote(self._path)}?mode={'rwc' if to_write else 'ro'}"
        with _sqlite_trouble():
            connection = sqlite3.connect(
                where, _PATIENCE_S, isolation_level=None, uri=True, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            if to_write:
                try:
                    _write_ahead(connection, _PATIENCE_S if may_wait else 0)
                    # In WAL mode a killed process loses nothing by this; only a power cut may.
                    connection.execute("PRAGMA synchronous = NORMAL")
                    if not may_wait:
                        connection.execute("PRAGMA busy_timeout = 0")
                        connection.execute("PRAGMA wal_autocheckpoint = 0")
                except sqlite3.Error:
                    connection.close()
                    raise
        return connection

    @contextmanager
    def within(self, connection: sqlite3.Connection, *, to_write: bool = True) -> Iterator[_Sqlite]:
        with _sqlite_trouble():
            connection.execute("BEGIN IMMEDIATE" if to_write else "BEGIN")
            # Commits, or rolls back what an exception ended.
            with connection:
                yield _Sqlite(connection)


def _write_ahead(connection: sqlite3.Connection, patience_s: float) -> None:
    """Have a new file's changes in a log beside it. SQLite itself does not wait for another
    connection that has this done at the same time."""
    until_s = time.monotonic() + patience_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() >= until_s:
                raise
            time.sleep(_LOOK_EVERY_S)


@contextmanager
def _sqlite_trouble() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        kind = _Busy if error.sqlite_errorcode == sqlite3.SQLITE_BUSY else Trouble
        raise kind(str(error)) from error


class _PostgresqlDriver:
    """A server."""

    is_at_hand = False

    def __init__(self, psycopg: Any, url: str) -> None:
        self._psycopg = psycopg
        self._url = url

    def open(self, *, to_write: bool, may_wait: bool = True) -> Any:
        with self._trouble():
            return self._psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=_PATIENCE_S,
                row_factory=self._psycopg.rows.dict_row,
            )

    @contextmanager
    def within(self, connection: Any, *, to_write: bool = True) -> Iterator[_Postgresql]:
        with self._trouble(), connection.transaction():
            yield _Postgresql(connection)

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        try:
            yield
        except self._psycopg.Error as error:
            raise Trouble(str(error).partition("\n")[0]) from error


def _steps() -> list[str]:
    folder = resources.files("canteen.metering.migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=str)
    return ["\n".join(_code(file.read_text())) for file in files]


def _code(step: str) -> list[str]:
    """Without comments, in which a semicolon would end a statement."""
    return [line for line in step.splitlines() if not line.startswith("--")]
