"""What both databases take, whoever writes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from canteen.metering.store import Database, connect
from tests.databases import emptied


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        yield connect(f"sqlite:///{tmp_path / 'canteen.db'}", is_own=False)
    else:
        yield connect(emptied(str(request.getfixturevalue("postgres"))), is_own=False)


def test_a_text_with_a_nul_can_be_written_and_found_again(database: Database) -> None:
    with database.writing() as connection:
        connection.execute("CREATE TABLE notes (name TEXT)")
        connection.execute("INSERT INTO notes VALUES (:name)", {"name": "a\0b"})
        found = connection.execute("SELECT * FROM notes WHERE name = :name", {"name": "a\0b"})

    assert len(found) == 1


def test_who_may_not_wait_gets_nothing_while_another_writes(tmp_path: Path) -> None:
    database = connect(f"sqlite:///{tmp_path / 'canteen.db'}", is_own=False)
    at_once = database.at_once()
    assert at_once is not None
    with database.writing() as connection:
        connection.execute("CREATE TABLE notes (name TEXT)")

        refused = at_once.write(lambda one: one.execute("INSERT INTO notes VALUES ('a')"))

    done = at_once.write(lambda one: one.execute("INSERT INTO notes VALUES ('b') RETURNING name"))
    at_once.close()
    assert (refused, done) == (None, [{"name": "b"}])


def test_nobody_is_refused_who_opens_a_new_file_at_the_same_time(tmp_path: Path) -> None:
    all_at_once = Barrier(4, timeout=30)

    def write(_: int) -> None:
        for number in range(200):
            all_at_once.wait()
            database = connect(f"sqlite:///{tmp_path / f'{number}.db'}", is_own=False)
            with database.writing() as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS notes (name TEXT)")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
