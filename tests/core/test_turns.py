"""Work in the background is looked for again and again, whatever one look meets."""

import asyncio
import logging

import pytest

from canteen.core.errors import EngineError
from canteen.core.turns import Turns


async def after(num: int, troubles: list[Exception], every_s: float = 0.0) -> None:
    """Returns once so many turns were done; the first meet these troubles."""
    done = asyncio.Event()
    count = 0

    async def turn() -> None:
        nonlocal count
        count += 1
        if count == num:
            done.set()
        if count <= len(troubles):
            raise troubles[count - 1]

    going = Turns(turn, every_s, troubled_s=0.0)
    going.start()
    await done.wait()
    await going.close()


async def test_it_is_done_again_by_itself() -> None:
    await after(3, [])


async def test_a_database_that_is_away_and_a_fault_of_ours_end_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    await after(3, [EngineError("the ledger cannot be read now"), KeyError("ours")])

    assert "waits: the ledger cannot be read now" in caplog.text
    assert "some work in the background failed" in caplog.text


async def test_who_is_woken_does_not_wait() -> None:
    turned: asyncio.Queue[None] = asyncio.Queue()
    going = Turns(lambda: turned.put(None), every_s=3600.0)
    going.start()
    await turned.get()

    going.wake()
    await turned.get()

    await going.close()


async def test_who_was_never_started_is_closed_all_the_same() -> None:
    await Turns(lambda: asyncio.sleep(0)).close()
