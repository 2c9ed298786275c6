"""What a task makes once for all its inputs."""

import asyncio

import pytest

from canteen.core.errors import EngineError
from canteen.tasks.model import Model
from tests.tasks.silent import Silent


@pytest.fixture
def model() -> Model:
    return Model(Silent(), "any", "any", "test")


async def test_what_is_made_is_made_once(model: Model) -> None:
    made: list[int] = []

    async def make() -> int:
        await asyncio.sleep(0)
        made.append(1)
        return 7

    found = await asyncio.gather(*(model.once("key", make) for _ in range(5)))

    assert found == [7] * 5
    assert made == [1]


async def test_what_fails_is_tried_again(model: Model) -> None:
    async def fail() -> int:
        raise EngineError("not now")

    async def make() -> int:
        return 7

    with pytest.raises(EngineError):
        await model.once("key", fail)

    assert await model.once("key", make) == 7


async def test_what_nobody_waits_for_is_given_up(model: Model) -> None:
    ended = asyncio.Event()

    async def make() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return 7

    waiting = [asyncio.create_task(model.once("key", make)) for _ in range(3)]
    await asyncio.sleep(0)
    for one in waiting[:2]:
        one.cancel()
    await asyncio.sleep(0)
    was_ended = ended.is_set()
    waiting[2].cancel()
    await asyncio.wait(waiting)
    await asyncio.wait_for(ended.wait(), 5)

    assert not was_ended
