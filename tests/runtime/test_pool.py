"""The pool loads once, keeps alive, and unloads."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from canteen.core.engine import Capabilities, EngineStats
from canteen.core.errors import EngineError, Overloaded
from canteen.core.generation import Chunk, GenerationRequest
from canteen.core.model import ModelCard
from canteen.runtime.admission import Limited
from canteen.runtime.pool import Health, Pool, Served
from tests.cards import card

CARD = card()


class Fake:
    """An engine that only opens and closes, and is its own health."""

    name = "fake"
    capabilities = Capabilities(8, 4)
    is_ready = True
    is_over = False
    num_restarts = 0
    is_closed = False

    async def generate(self, request: GenerationRequest):  # type: ignore[no-untyped-def]
        yield Chunk(request.id)

    async def stats(self) -> EngineStats:
        return EngineStats(memory_bytes=7)

    async def close(self) -> None:
        self.is_closed = True


@dataclass
class Kitchen:
    """Creates fakes, as slowly as it is told, and remembers them."""

    pause: asyncio.Event = field(default_factory=asyncio.Event)
    fails: bool = False
    made: list[Fake] = field(default_factory=list)

    async def create(self, card: ModelCard) -> tuple[Served, Health]:
        self.made.append(Fake())
        await self.pause.wait()
        if self.fails:
            raise EngineError("cannot")
        return Limited(self.made[-1], 4), self.made[-1]


@pytest.fixture
def kitchen() -> Kitchen:
    kitchen = Kitchen()
    kitchen.pause.set()
    return kitchen


async def use(pool: Pool, card: ModelCard = CARD, keep_alive_s: float | None = None) -> None:
    async with pool.use(card, keep_alive_s):
        pass


async def test_many_who_ask_at_once_load_it_once(kitchen: Kitchen) -> None:
    kitchen.pause.clear()
    pool = Pool(kitchen.create, 60)
    users = [asyncio.create_task(use(pool)) for _ in range(8)]
    await asyncio.sleep(0)
    assert [model.state for model in await pool.loaded()] == ["loading"]

    kitchen.pause.set()
    await asyncio.gather(*users)

    assert len(kitchen.made) == 1
    assert [model.state for model in await pool.loaded()] == ["ready"]
    await pool.close()


async def test_names_of_the_same_weights_share_them(kitchen: Kitchen) -> None:
    pool = Pool(kitchen.create, 60)

    await use(pool)
    await use(pool, replace(CARD, name="llama2:latest"))

    assert len(kitchen.made) == 1
    await pool.close()


async def test_one_who_leaves_while_it_loads_does_not_take_it_from_the_others(
    kitchen: Kitchen,
) -> None:
    kitchen.pause.clear()
    pool = Pool(kitchen.create, 60)
    leaver, stayer = (asyncio.create_task(use(pool)) for _ in range(2))
    await asyncio.sleep(0)

    leaver.cancel()
    kitchen.pause.set()
    await stayer

    assert len(kitchen.made) == 1
    await pool.close()


async def test_keep_alive_of_nothing_unloads_after_use(kitchen: Kitchen) -> None:
    pool = Pool(kitchen.create, 60)

    await use(pool, keep_alive_s=0)
    await asyncio.sleep(0.01)

    assert await pool.loaded() == []
    assert kitchen.made[0].is_closed


async def test_a_model_in_use_is_not_unloaded(kitchen: Kitchen) -> None:
    pool = Pool(kitchen.create, 60)

    async with pool.use(CARD, 0):
        await asyncio.sleep(0.01)
        assert len(await pool.loaded()) == 1

    await pool.close()


async def test_for_ever_has_no_end(kitchen: Kitchen) -> None:
    pool = Pool(kitchen.create, 60)

    await use(pool, keep_alive_s=float("inf"))

    assert (await pool.loaded())[0].expires_at is None
    await pool.close()


async def test_a_use_that_says_nothing_of_it_keeps_it_for_the_usual_time(
    kitchen: Kitchen,
) -> None:
    pool = Pool(kitchen.create, 60)

    await use(pool, keep_alive_s=float("inf"))
    await use(pool)

    assert (await pool.loaded())[0].expires_at is not None
    await pool.close()


async def test_a_model_whose_worker_gave_up_is_loaded_anew(kitchen: Kitchen) -> None:
    pool = Pool(kitchen.create, 60)
    await use(pool)

    kitchen.made[0].is_over = True
    await use(pool)

    assert len(kitchen.made) == 2
    await pool.close()


async def test_who_waits_for_a_model_that_is_unloaded_is_told_to_try_again(
    kitchen: Kitchen,
) -> None:
    kitchen.pause.clear()
    pool = Pool(kitchen.create, 60)
    waiting = asyncio.create_task(use(pool))
    await asyncio.sleep(0)

    await pool.unload(CARD)

    with pytest.raises(Overloaded, match="try again"):
        await waiting


async def test_a_load_that_fails_is_tried_again_by_the_next(kitchen: Kitchen) -> None:
    pool = Pool(kitchen.create, 60)
    kitchen.fails = True
    with pytest.raises(EngineError):
        await use(pool)

    kitchen.fails = False
    await use(pool)

    assert len(kitchen.made) == 2
    await pool.close()
    assert kitchen.made[1].is_closed
