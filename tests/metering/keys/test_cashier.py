# ruff: noqa: ASYNC110 - the database is another thread's: only asking tells how it stands
"""Reserving and settling from an event loop, whoever else uses the database."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from canteen.core.database import Tables
from canteen.metering.keys.book import KeyBook
from canteen.metering.keys.cashier import SOON_S, Cashier
from canteen.metering.keys.holds import Holds, Reserve, Settle
from canteen.metering.keys.key import Key
from canteen.metering.keys.limits import Ask, Refusal, limits_of
from canteen.metering.store import Database, connect
from tests.databases import emptied
from tests.metering.keys.holding import NOON_S, granted, new_key


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        yield connect(f"sqlite:///{tmp_path / 'canteen.db'}")
    else:
        yield connect(emptied(str(request.getfixturevalue("postgres"))))


@pytest.fixture
def key(database: Database) -> Key:
    return new_key(database, tokens_per_day=100)


@pytest.fixture
async def cashier(database: Database) -> AsyncIterator[Cashier]:
    kept = database.kept()
    holds = Holds(kept, lambda: NOON_S, close=kept.close, at_once=database.at_once())
    cashier = Cashier(holds)
    yield cashier
    await asyncio.to_thread(cashier.close)


def asked(key: Key, name: str, tokens: int) -> Reserve:
    return Reserve(name, key.id, limits_of(key.limits), Ask(tokens, tokens))


def spent(tables: Tables, key: Key) -> tuple[int, int]:
    """The tokens that are used and held."""
    told = KeyBook(tables, lambda: NOON_S).spent(key)["tokens_per_day"]
    return told["used"], told["held"]


async def test_what_is_settled_is_booked_when_that_is_said(
    cashier: Cashier, database: Database, key: Key
) -> None:
    for number in range(5):
        reserve = asked(key, str(number), 15)
        (outcome,) = await cashier.reserve(reserve)
        assert granted(outcome) == 15
        await cashier.settle(Settle(reserve, outcome.at_s, {"tokens": 10}))
        assert spent(database, key) == (10 * (number + 1), 0)


async def test_while_another_writes_the_loop_goes_on_and_the_answer_comes_after_it(
    cashier: Cashier, database: Database, key: Key
) -> None:
    (first,) = await cashier.reserve(asked(key, "first", 10))
    with database.writing() as connection:
        connection.lock(key.id)
        waiting = asyncio.ensure_future(cashier.reserve(asked(key, "second", 10)))
        await asyncio.sleep(0.05)
        assert not waiting.done()

    (second,) = await waiting
    assert (granted(first), granted(second)) == (10, 10)


async def test_500_at_once_get_what_there_is_and_no_more(
    cashier: Cashier, database: Database, key: Key
) -> None:
    outcomes = await asyncio.gather(
        *(cashier.reserve(asked(key, str(number), 7)) for number in range(500))
    )

    refusals = [one.decision for (one,) in outcomes if isinstance(one.decision, Refusal)]
    assert len(refusals) == 500 - 100 // 7
    assert all(one.waits_for_others for one in refusals)
    assert spent(database, key) == (0, 98)


async def test_what_nobody_waits_for_is_booked_soon(
    cashier: Cashier, database: Database, key: Key
) -> None:
    reserve = asked(key, "a", 10)
    (outcome,) = await cashier.reserve(reserve)

    cashier.settle_later(Settle(reserve, outcome.at_s, {"tokens": 4}))
    async with asyncio.timeout(30):
        while spent(database, key) != (4, 0):
            await asyncio.sleep(SOON_S)


async def test_who_gives_up_while_waiting_holds_nothing(
    cashier: Cashier, database: Database, key: Key
) -> None:
    await cashier.reserve(asked(key, "first", 10))
    with database.writing() as connection:
        connection.lock(key.id)
        waiting = asyncio.ensure_future(cashier.reserve(asked(key, "second", 10)))
        await asyncio.sleep(0.02)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting

    async with asyncio.timeout(30):
        while spent(database, key) != (0, 10):
            await asyncio.sleep(SOON_S)
