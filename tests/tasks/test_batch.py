"""Many inputs: together, in order, each failing by itself."""

import asyncio
from contextlib import aclosing

from hypothesis import given, settings
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.tasks.batch import each


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 8))
def test_outcomes_come_in_the_order_of_their_inputs(inputs: list[int], most: int) -> None:
    async def work(one: int) -> int:
        for _ in range(one):
            await asyncio.sleep(0)
        if one == 3:
            raise InvalidRequest("three")
        return one

    async def run() -> list[object]:
        return [outcome async for outcome in each(inputs, work, most)]

    outcomes = asyncio.run(run())

    told = [3 if isinstance(one, InvalidRequest) else one for one in outcomes]
    assert told == inputs


async def test_no_more_run_at_once_than_allowed() -> None:
    running = most = 0

    async def work(one: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return one

    async with aclosing(each(range(50), work, 4)) as outcomes:
        assert [outcome async for outcome in outcomes] == list(range(50))

    assert most == 4


async def test_who_stops_reading_ends_what_is_running() -> None:
    ended: list[int] = []

    async def work(one: int) -> int:
        try:
            await asyncio.sleep(0 if one == 0 else 60)
        finally:
            ended.append(one)
        return one

    async with aclosing(each(range(10), work, 4)) as outcomes:
        assert await anext(outcomes) == 0

    assert sorted(ended) == [0, 1, 2, 3]
