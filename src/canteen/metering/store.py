"""The SQL seam: the ledger's tables on SQLite or PostgreSQL, brought up to date when opened."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from canteen.core.errors import CanteenError, EngineError, InvalidRequest

logger = logging.getLogger(__name__)

# How long SQLite waits for another program that writes.
_BUSY_MS = 5000
# Any number, the same in all gateways: it names the lock under which one of them migrates.
_MIGRATING = 4_177_001


class NewerDatabase(CanteenError):
    """The database was written by a later release."""

    code = "newer_database"


def connect(url: str) -> Engine:
    """An engine for `sqlite:///FILE` or `postgresql://…`; nothing is opened yet.

    Raises InvalidRequest for another URL.
    """
    try:
        told = make_url(url)
    except ArgumentError:
        told = None
    if told is None or told.get_backend_name() not in ("sqlite", "postgresql"):
        raise InvalidRequest(
            "CANTEEN_DATABASE must be a URL: postgresql://USER:PASSWORD@HOST/NAME "
            "or sqlite:///FILE",
            param="CANTEEN_DATABASE",
        )
    if told.get_backend_name() == "postgresql":
        return create_engine(told.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    engine = create_engine(told)
    event.listen(engine, "connect", _set_up_sqlite)
    return engine


def migrate(engine: Engine) -> None:
    """Bring the tables up to date; raises NewerDatabase, and SQLAlchemyError where the database
    cannot be written."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATING})"))
        version = schema_version(connection)
        steps = _steps()
        if version > len(steps):
            raise NewerDatabase(
                f"the database has schema {version} and this release knows {len(steps)}; "
                "use the release that wrote it, or another CANTEEN_DATABASE"
            )
        if version == 0:
            connection.execute(text("CREATE TABLE schema_version (version INTEGER NOT NULL)"))
            connection.execute(text("INSERT INTO schema_version VALUES (0)"))
        for step in steps[version:]:
            for statement in step.split(";"):
                if statement.strip():
                    connection.execute(text(statement))
        connection.execute(text("UPDATE schema_version SET version = :new"), {"new": len(steps)})


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for questions; raises EngineError where the database does not answer."""
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        logger.error("the ledger cannot be read: %s", error)
        raise EngineError(
            "the ledger cannot be read now; see CANTEEN_DATABASE and CANTEEN_HOME, and the log",
            code="ledger_unavailable",
        ) from error


def schema_version(connection: Connection) -> int:
    """How many steps the database has taken; 0 for an empty one."""
    if not inspect(connection).has_table("schema_version"):
        return 0
    return int(connection.execute(text("SELECT version FROM schema_version")).scalar_one())


def upsert(
    connection: Connection,
    table: str,
    keys: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    updated: Sequence[str] = (),
) -> None:
    """Insert rows; where one with the same keys is there, only the `updated` columns change.
    Names are the program's own, values are bound."""
    if not rows:
        return
    columns = list(rows[0])
    changes = ", ".join(f"{name} = excluded.{name}" for name in updated)
    then = f"UPDATE SET {changes}" if changes else "NOTHING"
    connection.execute(
        text(
            f"INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608 - no name is a caller's
            f"VALUES ({', '.join(':' + name for name in columns)}) "
            f"ON CONFLICT ({', '.join(keys)}) DO {then}"
        ),
        list(rows),
    )


def _steps() -> list[str]:
    folder = resources.files("canteen.metering.migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=str)
    return ["\n".join(_code(file.read_text())) for file in files]


def _code(step: str) -> list[str]:
    """Without comments, in which a semicolon would end a statement."""
    return [line for line in step.splitlines() if not line.startswith("--")]


def _set_up_sqlite(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # In WAL mode a killed process loses nothing by this; only a power cut may.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()
