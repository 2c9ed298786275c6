"""Keys are rotated, expire and are revoked, and looked up without asking each time."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from canteen.core.database import Connection, Tables
from canteen.core.errors import EngineError, InvalidRequest, KeyNotFound, Unauthorized
from canteen.metering.keys.book import KeyBook
from canteen.metering.keys.key import Wanted, digest
from canteen.metering.keys.ring import GOOD_FOR_S, KeyRing
from canteen.metering.store import connect

WITHIN_S = 10.0


class Counted:
    """A database that counts its readers, may be out of order, and where `told` is an event, keeps
    what it does next to itself until then."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.num_reads = 0
        self.is_broken = False
        self.told: threading.Event | None = None
        self.is_done = threading.Event()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._tables.writing() as connection:
            yield connection
        self._wait()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        self.num_reads += 1
        if self.is_broken:
            raise EngineError("out of order")
        with self._tables.reading() as connection:
            yield connection
        self._wait()

    def _wait(self) -> None:
        told, self.told = self.told, None
        if told is not None:
            self.is_done.set()
            told.wait(WITHIN_S)


class Bench:
    """A ring, its database and its clock."""

    def __init__(self, folder: Path) -> None:
        self.now_s = 1_000_000.0
        self.tables = Counted(connect(f"sqlite:///{folder / 'canteen.db'}"))
        self.book = KeyBook(self.tables, lambda: self.now_s)
        self.ring = KeyRing(self.book, "on")

    async def is_good(self, secret: str) -> bool:
        try:
            await self.ring.caller(secret)
        except Unauthorized:
            return False
        return True


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_both_secrets_of_a_key_are_good_until_the_overlap_is_over(bench: Bench) -> None:
    key, old = bench.book.create(Wanted("team"))

    again, new = await bench.ring.rotate(key.id, overlap_s=60)

    assert again.id == key.id
    assert (await bench.ring.caller(old)).id == (await bench.ring.caller(new)).id == key.id
    bench.now_s += 61
    assert [await bench.is_good(one) for one in (old, new)] == [False, True]


async def test_a_rotation_without_overlap_ends_the_old_secret_at_once(bench: Bench) -> None:
    key, old = bench.book.create(Wanted("team"))
    assert await bench.is_good(old)

    _, new = await bench.ring.rotate(key.id, overlap_s=0)

    assert [await bench.is_good(one) for one in (old, new)] == [False, True]


async def test_a_second_rotation_does_not_lengthen_the_life_of_the_oldest_secret(
    bench: Bench,
) -> None:
    key, oldest = bench.book.create(Wanted("team"))
    await bench.ring.rotate(key.id, overlap_s=10)
    await bench.ring.rotate(key.id, overlap_s=1000)

    bench.now_s += 11

    assert not await bench.is_good(oldest)


async def test_a_key_expires_to_the_second_though_it_is_remembered(bench: Bench) -> None:
    _, secret = bench.book.create(Wanted("team", expires_s=bench.now_s + 0.5))
    assert await bench.is_good(secret)

    bench.now_s += 0.5

    with pytest.raises(Unauthorized, match="has expired"):
        await bench.ring.caller(secret)


async def test_a_key_is_revoked_here_at_once_and_elsewhere_soon(bench: Bench) -> None:
    key, secret = bench.book.create(Wanted("team"))
    elsewhere = KeyRing(bench.book, "on")
    await bench.ring.caller(secret)
    await elsewhere.caller(secret)

    await bench.ring.revoke(key.id)

    with pytest.raises(Unauthorized, match="was revoked"):
        await bench.ring.caller(secret)
    assert (await elsewhere.caller(secret)).id == key.id
    bench.now_s += GOOD_FOR_S + 0.1
    with pytest.raises(Unauthorized, match="was revoked"):
        await elsewhere.caller(secret)


async def test_a_key_that_is_being_read_is_revoked_at_once_too(bench: Bench) -> None:
    key, secret = await bench.ring.create(Wanted("till"))
    told = bench.tables.told = threading.Event()
    asked = asyncio.ensure_future(bench.is_good(secret))
    await asyncio.to_thread(bench.tables.is_done.wait, WITHIN_S)

    await bench.ring.revoke(key.id)
    told.set()

    assert not await asked
    assert not await bench.is_good(secret)


async def test_a_key_in_use_is_read_beside_its_requests_and_not_for_each(bench: Bench) -> None:
    _, secret = bench.book.create(Wanted("team"))

    for _ in range(100):
        await bench.ring.caller(secret)
    once = bench.tables.num_reads
    bench.now_s += 2
    for _ in range(100):
        await bench.ring.caller(secret)
    await bench.ring.until_read()

    assert (once, bench.tables.num_reads) == (1, 2)


async def test_nobody_is_let_in_who_cannot_be_looked_up(bench: Bench) -> None:
    _, secret = bench.book.create(Wanted("team"))
    await bench.ring.caller(secret)
    bench.tables.is_broken = True

    assert await bench.is_good(secret)
    bench.now_s += GOOD_FOR_S + 0.1
    with pytest.raises(EngineError):
        await bench.ring.caller(secret)


async def test_keys_are_asked_for_soon_after_the_first_one_is_made(bench: Bench) -> None:
    ring = KeyRing(bench.book)
    ring.open()
    bench.book.create(Wanted("team"))

    await ring.look()
    await ring.until_read()
    before = ring.is_asked
    bench.now_s += 2
    await ring.look()
    await ring.until_read()

    assert (before, ring.is_asked) == (False, True)


async def test_a_first_key_that_is_made_during_a_look_is_asked_for(bench: Bench) -> None:
    ring = KeyRing(bench.book, "auto")
    bench.now_s += 2
    told = bench.tables.told = threading.Event()
    await ring.look()
    await asyncio.to_thread(bench.tables.is_done.wait, WITHIN_S)

    await ring.create(Wanted("first"))
    told.set()
    await ring.until_read()

    assert ring.is_asked


async def test_who_comes_after_a_long_silence_needs_the_key_that_was_made_in_it(
    bench: Bench,
) -> None:
    ring = KeyRing(bench.book)
    ring.open()
    bench.book.create(Wanted("team"))
    bench.now_s += GOOD_FOR_S + 0.1

    await ring.look()

    assert ring.is_asked


def test_where_nobody_can_tell_whether_there_are_keys_they_are_asked_for(tmp_path: Path) -> None:
    ring = KeyRing(KeyBook(connect(f"sqlite:///{tmp_path / 'missing' / 'canteen.db'}")))

    ring.open()

    assert ring.is_asked


def test_no_secret_is_kept(bench: Bench) -> None:
    _, secret = bench.book.create(Wanted("team"))

    with bench.tables.reading() as connection:
        kept = [
            *connection.execute("SELECT * FROM keys"),
            *connection.execute("SELECT * FROM secrets"),
        ]

    assert secret.removeprefix("canteen_") not in json.dumps(kept)
    assert digest(secret) in json.dumps(kept)
    assert len(secret) == len("canteen_") + 43


def test_what_is_over_cannot_be_rotated(bench: Bench) -> None:
    key, _ = bench.book.create(Wanted("team"))
    bench.book.revoke(key.id)

    with pytest.raises(InvalidRequest, match="was revoked; create another"):
        bench.book.rotate(key.id, 0)
    with pytest.raises(KeyNotFound):
        bench.book.rotate("key_x", 0)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"name": ""}, "1 to 100"),
        ({"name": "x", "scopes": ("all",)}, "'all' is no scope"),
        ({"name": "x", "scopes": ()}, "needs a scope"),
        ({"name": "x", "limits": {"tokens": 1}}, "'tokens' is no limit"),
        ({"name": "x", "limits": {"tokens_per_day": -1}}, "0 or more"),
        ({"name": "x", "limits": {"tokens_per_day": float("nan")}}, "0 or more"),
        ({"name": "x", "models": ("a b",)}, "a model's name"),
    ],
)
def test_a_key_of_odd_wishes_is_not_made(wanted: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        Wanted(**wanted)  # type: ignore[arg-type]
