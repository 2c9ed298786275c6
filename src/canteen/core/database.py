"""A database as the rooms that keep things in it see it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Row = dict[str, Any]


class Connection(Protocol):
    """A transaction: SQL with `:name` for each value. `skip_locked` ends a subquery that is to
    leave out what another transaction is at; empty where there is only ever one."""

    skip_locked: str

    def lock(self, name: str) -> None:
        """Wait until no other transaction has a lock of this name, and have it until this one is
        over."""
        ...

    def execute(self, sql: str, values: Mapping[str, Any] = ...) -> list[Row]:
        """Run a statement; the rows that it gives."""
        ...


def insert(
    connection: Connection, table: str, row: Mapping[str, Any], ending: str = ""
) -> list[Row]:
    """Add a row, and do what the `ending` of the statement says; gives the rows that it gives.
    Names and ending are the program's own, values are bound."""
    return connection.execute(
        f"INSERT INTO {table} ({', '.join(row)}) "  # noqa: S608 - no name is a caller's
        f"VALUES ({', '.join(':' + name for name in row)}) {ending}",
        row,
    )


class Tables(Protocol):
    """Transactions on one database; what is wrong with it is an EngineError."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that changes something; undone by an exception."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that only reads."""
        ...


class AtOnce(Protocol):
    """Transactions on one database for a thread that may not wait."""

    def write(self, work: Callable[[Connection], T]) -> T | None:
        """Do some work in a transaction; None where that cannot be now, and then nothing is
        written."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...
