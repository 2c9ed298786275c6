"""The pool loads once, within its memory, keeps alive, makes room, and unloads."""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.engine import Capabilities, EngineStats
from canteen.core.errors import EngineError, ModelUnsuitable, Overloaded
from canteen.core.generation import Chunk, GenerationRequest, ScoreRequest, Scores
from canteen.core.model import ModelCard
from canteen.runtime.admission import Limited
from canteen.runtime.budget import Budget
from canteen.runtime.figures import Figures
from canteen.runtime.gate import Gate, Limits
from canteen.runtime.history import Event
from canteen.runtime.pool import Pool
from canteen.runtime.slot import LONGEST_STAY_S, SHORTEST_STAY_S, STAY_PER_LOAD, Health, Served
from tests.cards import card
from tests.runtime.virtual_time import run

A, B, C = (card(name=f"{name}:latest", folder=f"prepared/{name}") for name in "abc")
# What models take in these tests, and a budget that holds two of them.
SIZE = 100_000_000
LOAD_S = 2.0
STAY_S = STAY_PER_LOAD * LOAD_S
WAKE_S = 0.5


@dataclass
class Fake:
    """An engine that only opens and closes, and is its own health."""

    kitchen: "Kitchen"
    card: ModelCard
    name = "fake"
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(8, 4))
    is_ready = True
    is_over = False
    num_restarts = 0
    is_closed = False
    is_asleep = False
    num_rests = 0

    async def generate(self, request: GenerationRequest):  # type: ignore[no-untyped-def]
        yield Chunk(request.id)

    async def score(self, request: ScoreRequest) -> Scores:
        raise AssertionError("nothing was to be scored")

    async def stats(self) -> EngineStats:
        return EngineStats(memory_bytes=self.kitchen.sizes.get(self.card.name, SIZE))

    @property
    def sleeps(self) -> bool:
        return self.kitchen.sleeps

    async def rest(self, *, is_asleep: bool) -> None:
        await asyncio.sleep(WAKE_S)
        if self.kitchen.cannot_rest:
            raise EngineError("no memory on the device")
        self.num_rests += 1
        self.is_asleep = is_asleep

    async def close(self) -> None:
        await asyncio.sleep(self.kitchen.close_s)
        self.is_closed = True


@dataclass
class Kitchen:
    """Creates fakes, as slowly as it is told, and remembers them and what was told of them."""

    load_s: float = LOAD_S
    close_s: float = 0.1
    fails: bool = False
    adapter_rank: int = 0
    sleeps: bool = False
    cannot_rest: bool = False
    sizes: dict[str, int] = field(default_factory=dict)
    made: list[Fake] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    most_alive: int = 0
    had_twins: bool = False

    async def create(self, card: ModelCard) -> tuple[Served, Health]:
        fake = Fake(self, card, Capabilities(8, 4, adapter_rank=self.adapter_rank))
        self.made.append(fake)
        alive = [fake.card.folder for fake in self.made if not fake.is_closed]
        self.most_alive = max(self.most_alive, len(alive))
        self.had_twins |= len(set(alive)) < len(alive)
        try:
            await asyncio.sleep(self.load_s)
        except asyncio.CancelledError:
            fake.is_closed = True
            raise
        if self.fails:
            fake.is_closed = True
            raise EngineError("cannot")
        return Limited(fake, Gate(4, Limits(4, 1e6, 300.0))), fake

    @property
    def loads(self) -> list[str]:
        """The models that were loaded, in order."""
        return [fake.card.name[0] for fake in self.made]

    def what(self, card: ModelCard) -> list[str]:
        """What happened to a model."""
        return [event.what for event in self.events if event.model == card.name]


@pytest.fixture
def kitchen() -> Kitchen:
    return Kitchen()


def known() -> Figures:
    """Figures in which every model was measured."""
    figures = Figures()
    for one in (A, B, C):
        figures.record_load(one, LOAD_S)
        figures.record_memory(one, SIZE)
    return figures


def new_pool(kitchen: Kitchen, num_fit: int = 2, max_waiting: int = 8) -> Pool:
    """A pool in which so many models fit."""
    budget = Budget(num_fit * SIZE, known())
    return Pool(
        kitchen.create,
        budget,
        keep_alive_s=1000,
        max_waiting=max_waiting,
        tell=kitchen.events.append,
    )


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def use(
    pool: Pool,
    card: ModelCard = A,
    keep_alive_s: float | None = None,
    *,
    for_s: float = 0.0,
    deadline_s: float | None = None,
    adapter_rank: int = 0,
) -> float:
    """Use a model for a while; when it was there."""
    async with pool.use(card, keep_alive_s, deadline_s, adapter_rank=adapter_rank):
        there_s = now_s()
        await asyncio.sleep(for_s)
        return there_s


async def states(pool: Pool) -> dict[str, str]:
    """The models of the pool and their states."""
    return {model.card.name[0]: model.state for model in await pool.loaded()}


def start(work: Coroutine[Any, Any, float]) -> "asyncio.Task[float]":
    return asyncio.ensure_future(work)


def test_many_who_ask_at_once_load_it_once(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)
        users = [start(use(pool)) for _ in range(8)]
        await asyncio.sleep(LOAD_S / 2)
        assert await states(pool) == {"a": "loading"}

        await asyncio.gather(*users)

        assert kitchen.loads == ["a"]
        assert await states(pool) == {"a": "ready"}
        await pool.close()

    run(scenario())


def test_names_of_the_same_weights_share_them(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)

        await use(pool)
        await use(pool, replace(A, name="llama2:latest"))

        assert kitchen.loads == ["a"]
        await pool.close()

    run(scenario())


def test_a_name_without_files_that_holds_another_model_is_loaded_anew(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit=5)
        before = replace(A, folder="")
        after = replace(before, digest="sha256:" + "2" * 64)

        running = start(use(pool, before, for_s=10.0))
        await asyncio.sleep(LOAD_S + 1)
        await use(pool, after)

        assert kitchen.loads == ["a", "a"]
        assert not kitchen.made[0].is_closed
        await running
        await pool.close()

    run(scenario())


def test_a_model_without_room_for_an_adapter_is_loaded_anew_once_its_users_have_left(
    kitchen: Kitchen,
) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)
        busy = start(use(pool, for_s=10.0))
        await asyncio.sleep(LOAD_S + 1)
        kitchen.adapter_rank = 16
        adapted = [start(use(pool, adapter_rank=rank)) for rank in (16, 8)]

        assert min(await asyncio.gather(*adapted)) >= await busy + 10.0 + LOAD_S

        assert kitchen.loads == ["a", "a"]
        assert not kitchen.had_twins
        assert kitchen.what(A) == ["loaded", "unloaded", "loaded"]
        await use(pool)
        assert kitchen.loads == ["a", "a"]
        await pool.close()

    run(scenario())


def test_one_who_leaves_while_it_loads_does_not_take_it_from_the_others(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)
        leaver, stayer = (start(use(pool)) for _ in range(2))
        await asyncio.sleep(LOAD_S / 2)

        leaver.cancel()
        await stayer

        assert kitchen.loads == ["a"]
        await pool.close()

    run(scenario())


def test_a_load_nobody_waits_for_any_more_is_kept_for_its_keep_alive(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)
        leaver = start(use(pool, keep_alive_s=50))
        await asyncio.sleep(LOAD_S / 2)
        leaver.cancel()

        await asyncio.sleep(LOAD_S)
        assert await states(pool) == {"a": "ready"}
        await asyncio.sleep(50)
        assert await states(pool) == {}
        await pool.close()

    run(scenario())


def test_keep_alive_of_nothing_unloads_after_use(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)

        await use(pool, keep_alive_s=0)
        await asyncio.sleep(1)

        assert await states(pool) == {}
        assert kitchen.made[0].is_closed
        assert kitchen.what(A) == ["loaded", "expired"]
        await pool.close()

    run(scenario())


def test_a_model_in_use_does_not_expire(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)

        async with pool.use(A, 0):
            await asyncio.sleep(100)
            assert await states(pool) == {"a": "ready"}

        await pool.close()

    run(scenario())


def test_for_ever_has_no_end(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)

        await use(pool, keep_alive_s=float("inf"))

        assert (await pool.loaded())[0].expires_at is None
        await pool.close()

    run(scenario())


def test_a_use_that_says_nothing_of_it_keeps_it_for_the_usual_time(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)

        await use(pool, keep_alive_s=float("inf"))
        await use(pool)

        assert (await pool.loaded())[0].expires_at is not None
        await pool.close()

    run(scenario())


def test_a_model_whose_worker_gave_up_is_loaded_anew(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)
        await use(pool)

        kitchen.made[0].is_over = True
        await use(pool)

        assert kitchen.loads == ["a", "a"]
        assert kitchen.what(A) == ["loaded", "failed", "loaded"]
        await pool.close()

    run(scenario())


def test_a_worker_that_was_started_again_is_noted_once(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)
        await use(pool)

        kitchen.made[0].num_restarts = 1
        await pool.loaded()
        await pool.loaded()

        assert kitchen.what(A) == ["loaded", "restarted"]
        await pool.close()

    run(scenario())


def test_who_waits_for_a_model_that_is_unloaded_is_told_to_try_again(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)
        waiting = start(use(pool))
        await asyncio.sleep(LOAD_S / 2)

        await pool.unload(A)

        with pytest.raises(Overloaded, match="try again"):
            await waiting
        await pool.close()

    run(scenario())


def test_a_load_that_fails_is_tried_again_by_the_next(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)
        kitchen.fails = True
        with pytest.raises(EngineError):
            await use(pool)
        kitchen.fails = False

        await use(pool)

        assert kitchen.loads == ["a", "a"]
        assert [event.why for event in kitchen.events if event.what == "failed"] == ["cannot"]
        await pool.close()
        assert all(fake.is_closed for fake in kitchen.made)

    run(scenario())


def test_a_request_for_another_context_size_loads_nothing(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)

        for num_ctx in (2048, 8192, 512, 4096):
            await use(pool, replace(A, parameters={"num_ctx": num_ctx}))

        assert kitchen.loads == ["a"]
        await pool.close()

    run(scenario())


def test_the_least_recently_used_idle_model_makes_room(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit=2)
        await use(pool, A)
        await use(pool, B)
        await asyncio.sleep(1)
        await use(pool, A)
        await asyncio.sleep(STAY_S + 1)

        await use(pool, C)

        assert await states(pool) == {"a": "ready", "c": "ready"}
        assert kitchen.what(B) == ["loaded", "evicted"]
        await pool.close()

    run(scenario())


def test_the_worker_of_an_evicted_model_has_ended_before_the_next_is_started(
    kitchen: Kitchen,
) -> None:
    async def scenario() -> None:
        kitchen.close_s = 5.0
        pool = new_pool(kitchen, num_fit=1)
        await use(pool, A)
        await asyncio.sleep(STAY_S + 1)
        waiting = start(use(pool, B))

        await asyncio.sleep(4.0)
        assert kitchen.loads == ["a"]
        await waiting
        assert kitchen.made[0].is_closed
        await pool.close()

    run(scenario())


def test_a_busy_model_is_not_evicted_for_who_waits(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit=1)
        busy = start(use(pool, A, for_s=1000))
        await asyncio.sleep(LOAD_S)
        waiting = start(use(pool, B))

        await asyncio.sleep(500)
        assert not kitchen.made[0].is_closed
        assert await waiting > await busy
        assert kitchen.loads == ["a", "b"]
        await pool.close()

    run(scenario())


def test_a_model_that_is_always_busy_makes_room_in_the_end(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit=1)
        busy = []
        for _ in range(3):
            busy.append(start(use(pool, A, for_s=30)))
            await asyncio.sleep(10)
        waiting = start(use(pool, B))
        for _ in range(20):
            await asyncio.sleep(10)
            busy.append(start(use(pool, A, for_s=30)))

        await asyncio.gather(waiting, *busy)

        assert kitchen.loads == ["a", "b", "a"]
        await pool.close()

    run(scenario())


def test_models_asked_for_in_turn_do_not_swap_on_every_request(kitchen: Kitchen) -> None:
    async def clients(pool: Pool, card: ModelCard) -> None:
        for _ in range(100):
            await use(pool, card, for_s=0.05)
            await asyncio.sleep(0.05)

    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit=1)

        await asyncio.gather(clients(pool, A), clients(pool, B))

        # 200 requests alternate; each stay answers all of its model's in the meantime.
        assert len(kitchen.loads) <= 4
        await pool.close()

    run(scenario())


def test_one_caller_of_two_models_loads_no_more_often_than_they_stay(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit=1)
        started_s = now_s()
        for _ in range(10):
            await use(pool, A)
            await use(pool, B)

        assert len(kitchen.loads) * (LOAD_S + STAY_S) <= now_s() - started_s + STAY_S
        await pool.close()

    run(scenario())


def test_who_waits_gets_its_model_when_the_other_has_had_its_time(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit=1)
        ready_s = await use(pool, A)

        there_s = await use(pool, B)

        assert there_s == pytest.approx(ready_s + STAY_S + kitchen.close_s + LOAD_S)
        await pool.close()

    run(scenario())


def test_uses_after_it_came_do_not_make_it_wait_longer(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit=1)
        ready_s = await use(pool, A)
        waiting = start(use(pool, B))
        for _ in range(5):
            await asyncio.sleep(STAY_S / 6)
            await use(pool, A)

        assert await waiting == pytest.approx(ready_s + STAY_S + kitchen.close_s + LOAD_S)
        await pool.close()

    run(scenario())


@pytest.mark.parametrize(
    ("load_s", "stay_s"), [(0.0, SHORTEST_STAY_S), (2.0, 10.0), (600.0, LONGEST_STAY_S)]
)
def test_a_model_stays_for_a_multiple_of_its_load(
    kitchen: Kitchen, load_s: float, stay_s: float
) -> None:
    async def scenario() -> None:
        kitchen.load_s, kitchen.close_s = load_s, 0.0
        pool = new_pool(kitchen, num_fit=1)
        ready_s = await use(pool, A)

        assert await use(pool, B) == pytest.approx(ready_s + stay_s + load_s)
        await pool.close()

    run(scenario())


def test_who_waits_for_memory_is_served_first_come_first_served(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit=1)
        await use(pool, A)

        waiting = [start(use(pool, card)) for card in (C, B, A)]
        await asyncio.gather(*waiting)

        assert kitchen.loads == ["a", "c", "b"]
        await pool.close()

    run(scenario())


def test_who_leaves_the_line_leaves_no_trace(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit=1)
        await use(pool, A)
        leaver = start(use(pool, B))
        await asyncio.sleep(1)
        assert await states(pool) == {"a": "ready", "b": "waiting"}

        leaver.cancel()
        await asyncio.sleep(STAY_S * 2)

        assert await states(pool) == {"a": "ready"}
        assert kitchen.loads == ["a"]
        await pool.close()

    run(scenario())


def test_a_cold_model_refuses_at_once_where_the_deadline_is_too_near(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)
        first = start(use(pool))
        await asyncio.sleep(0.5)
        with pytest.raises(Overloaded) as refusal:
            await use(pool, deadline_s=now_s() + 1.0)

        assert refusal.value.code == "model_loading"
        assert refusal.value.retry_after_s == pytest.approx(LOAD_S - 0.5)
        assert now_s() == pytest.approx(0.5)
        await first
        await pool.close()

    run(scenario())


def test_who_comes_back_when_told_finds_the_model_loaded(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit=1)
        await use(pool, A)
        with pytest.raises(
            Overloaded, match=r"waits for 100 MB .* 100 of 100 MB are taken by a:latest"
        ) as refusal:
            await use(pool, B, keep_alive_s=0, deadline_s=now_s() + 1)

        await asyncio.sleep(refusal.value.retry_after_s + kitchen.close_s)
        came_s = now_s()
        assert await use(pool, B, deadline_s=now_s() + 1) == pytest.approx(came_s)
        assert kitchen.loads == ["a", "b"]
        await pool.close()

    run(scenario())


def test_a_cold_model_is_waited_for_where_the_deadline_allows(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen)

        assert await use(pool, deadline_s=now_s() + LOAD_S + 0.5) == pytest.approx(LOAD_S)
        await pool.close()

    run(scenario())


def test_a_load_of_unknown_length_is_waited_for_until_the_deadline(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        kitchen.load_s = 100.0
        pool = new_pool(kitchen)
        unknown = card(name="new:latest", folder="", size_bytes=0)
        pool = Pool(kitchen.create, Budget(10**9, Figures()), keep_alive_s=1000, max_waiting=8)

        with pytest.raises(Overloaded) as refusal:
            await use(pool, unknown, deadline_s=now_s() + 20)

        assert refusal.value.retry_after_s == pytest.approx(20)
        assert now_s() == pytest.approx(20)
        await pool.close()

    run(scenario())


def test_so_many_callers_may_wait_for_a_model_and_no_more(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen, max_waiting=2)
        waiting = [start(use(pool)) for _ in range(2)]
        await asyncio.sleep(0)

        with pytest.raises(Overloaded, match="2 requests wait"):
            await use(pool)

        await asyncio.gather(*waiting)
        await pool.close()

    run(scenario())


def test_a_model_that_can_never_fit_is_refused_with_the_numbers(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        large = card(name="large:latest", size_bytes=2_000_000_000)
        pool = Pool(kitchen.create, Budget(2_500_000_000, Figures()), keep_alive_s=1, max_waiting=1)

        with pytest.raises(ModelUnsuitable, match=r"needs 3200 MB .* 2500 MB") as refusal:
            await use(pool, large)

        assert refusal.value.code == "not_enough_memory"
        assert kitchen.loads == []
        await pool.close()

    run(scenario())


def test_an_unload_goes_on_when_who_asked_for_it_leaves(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        kitchen.close_s = 5.0
        pool = new_pool(kitchen)
        await use(pool)
        unloading = asyncio.ensure_future(pool.unload(A))
        await asyncio.sleep(1)

        unloading.cancel()
        await asyncio.sleep(kitchen.close_s)

        assert kitchen.made[0].is_closed
        assert await states(pool) == {}
        await pool.close()

    run(scenario())


def test_models_that_have_grown_beyond_the_budget_lose_an_idle_one(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit=2)
        await use(pool, A)
        await use(pool, B)

        kitchen.sizes = {B.name: SIZE + 50_000_000}
        await pool.loaded()

        assert await states(pool) == {"b": "ready"}
        assert kitchen.what(A) == ["loaded", "evicted"]
        await pool.close()

    run(scenario())


def test_a_model_that_outgrew_the_budget_while_it_drained_does_not_block_the_line(
    kitchen: Kitchen,
) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit=1)
        draining = start(use(pool, A, for_s=2 * STAY_S))
        await asyncio.sleep(LOAD_S)
        waiting = start(use(pool, B))
        await asyncio.sleep(STAY_S + 1)
        again = start(use(pool, A))
        kitchen.sizes = {A.name: 2 * SIZE}
        await asyncio.sleep(1)
        assert await states(pool) == {"a": "waiting", "b": "waiting"}

        await asyncio.gather(draining, waiting)
        with pytest.raises(ModelUnsuitable, match="needs 200 MB"):
            await again
        await pool.close()

    run(scenario())


def test_idle_models_make_room_before_busy_ones(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit=2)
        busy = start(use(pool, A, for_s=100))
        await use(pool, B)
        await asyncio.sleep(STAY_S + 1)

        await use(pool, C)

        assert await states(pool) == {"a": "ready", "c": "ready"}
        await busy
        await pool.close()

    run(scenario())


def test_a_model_counts_for_the_most_it_ever_took(kitchen: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit=2)
        kitchen.sizes = {A.name: SIZE + 50_000_000}
        await use(pool, A)
        await pool.loaded()
        kitchen.sizes = {A.name: 20}

        (model,) = await pool.loaded()

        assert (model.memory_bytes, model.counted_bytes, model.is_measured) == (
            20,
            SIZE + 50_000_000,
            True,
        )
        await pool.close()

    run(scenario())


def test_workers_are_asked_for_their_gauges_at_the_same_time(kitchen: Kitchen) -> None:
    class Busy(Fake):
        async def stats(self) -> EngineStats:
            await asyncio.sleep(0.5)
            return EngineStats(memory_bytes=SIZE)

    async def create(card: ModelCard) -> tuple[Served, Health]:
        fake = Busy(kitchen, card)
        return Limited(fake, Gate(4, Limits(4, 1e6, 300.0))), fake

    async def scenario() -> None:
        pool = Pool(create, Budget(3 * SIZE, known()), keep_alive_s=9, max_waiting=1)
        for one in (A, B, C):
            await use(pool, one)
        began_s = now_s()

        await pool.loaded()

        assert now_s() - began_s == pytest.approx(0.5)
        await pool.close()

    run(scenario())


@pytest.fixture
def bedroom(kitchen: Kitchen) -> Kitchen:
    """One whose models can sleep."""
    kitchen.sleeps = True
    return kitchen


def test_a_model_that_can_sleep_does_so_after_its_keep_alive_and_is_woken(bedroom: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(bedroom)
        await use(pool, keep_alive_s=5)
        await asyncio.sleep(5 + WAKE_S)
        assert await states(pool) == {"a": "asleep"}
        assert bedroom.made[0].is_asleep
        assert (await pool.loaded())[0].expires_at is None
        asked_s = now_s()

        there_s = await asyncio.gather(*(start(use(pool, keep_alive_s=5)) for _ in range(8)))

        assert there_s == [pytest.approx(asked_s + WAKE_S)] * 8
        assert (bedroom.loads, bedroom.made[0].num_rests) == (["a"], 2)
        assert bedroom.what(A) == ["loaded", "slept", "woken"]
        await asyncio.sleep(6)
        assert await states(pool) == {"a": "asleep"}
        await pool.close()
        assert bedroom.made[0].is_closed

    run(scenario())


def test_a_model_asked_for_while_it_falls_asleep_is_woken(bedroom: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(bedroom)
        await use(pool, keep_alive_s=5)
        await asyncio.sleep(5 + WAKE_S / 2)

        there_s = await use(pool)

        assert there_s == pytest.approx(LOAD_S + 5 + 2 * WAKE_S)
        assert await states(pool) == {"a": "ready"}
        await pool.close()

    run(scenario())


def test_one_that_cannot_be_woken_is_loaded_anew(bedroom: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(bedroom)
        await use(pool, keep_alive_s=0)
        await asyncio.sleep(1)
        bedroom.cannot_rest = True

        await use(pool)

        assert bedroom.loads == ["a", "a"]
        assert [fake.is_closed for fake in bedroom.made] == [True, False]
        assert bedroom.what(A) == ["loaded", "slept", "failed", "loaded"]
        await pool.close()

    run(scenario())


def test_one_that_cannot_fall_asleep_is_unloaded(bedroom: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(bedroom)
        bedroom.cannot_rest = True

        await use(pool, keep_alive_s=0)
        await asyncio.sleep(1)

        assert await states(pool) == {}
        assert bedroom.made[0].is_closed
        await pool.close()

    run(scenario())


def test_a_model_sleeps_only_where_there_is_memory_for_its_weights(bedroom: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(bedroom, num_fit=1)
        large = replace(A, size_bytes=SIZE)

        await use(pool, large, keep_alive_s=0)
        await asyncio.sleep(1)

        assert await states(pool) == {}
        assert bedroom.what(A) == ["loaded", "expired"]
        await pool.close()

    run(scenario())


def test_those_that_sleep_make_room_first(bedroom: Kitchen) -> None:
    async def scenario() -> None:
        bedroom.sizes = {A.name: SIZE - 10}
        pool = new_pool(bedroom)
        await use(pool, B)
        await use(pool, A, keep_alive_s=0)
        await asyncio.sleep(STAY_S + 1)
        assert await states(pool) == {"a": "asleep", "b": "ready"}

        await use(pool, C)

        assert await states(pool) == {"b": "ready", "c": "ready"}
        assert bedroom.what(A) == ["loaded", "slept", "evicted"]
        await pool.close()

    run(scenario())


def test_a_model_that_is_unloaded_while_it_is_woken_ends(bedroom: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(bedroom)
        await use(pool, keep_alive_s=0)
        await asyncio.sleep(1)
        waiting = start(use(pool))
        await asyncio.sleep(WAKE_S / 2)
        assert await states(pool) == {"a": "loading"}

        await pool.unload(A)

        with pytest.raises(Overloaded, match="try again"):
            await waiting
        assert bedroom.made[0].is_closed
        await pool.close()

    run(scenario())


def test_a_worker_that_ended_while_its_model_slept_is_not_kept(bedroom: Kitchen) -> None:
    async def scenario() -> None:
        pool = new_pool(bedroom)
        await use(pool, keep_alive_s=0)
        await asyncio.sleep(1)

        bedroom.made[0].num_restarts = 1
        await pool.loaded()
        await asyncio.sleep(1)

        assert await states(pool) == {}
        assert bedroom.what(A) == ["loaded", "slept", "restarted", "expired"]
        await pool.close()

    run(scenario())


CALLS = st.tuples(
    st.sampled_from((A, B, C)),
    st.floats(0, 60),  # comes
    st.floats(0, 20),  # uses it for
    st.none() | st.floats(0, 40),  # has so long to wait
    st.none() | st.floats(0, 40),  # gives up after
    st.sampled_from((None, 0.0, 5.0)),  # keep_alive
)


@given(
    calls=st.lists(CALLS, max_size=12),
    num_fit=st.integers(1, 3),
    load_s=st.floats(0, 8),
    close_s=st.floats(0, 3),
    sleeps=st.booleans(),
)
def test_whatever_is_asked_for_memory_suffices_and_everyone_is_answered(
    calls: list[Any], num_fit: int, load_s: float, close_s: float, sleeps: bool
) -> None:
    kitchen = Kitchen(load_s, close_s, sleeps=sleeps)

    async def call(pool: Pool, model: ModelCard, terms: list[Any]) -> None:
        comes_s, for_s, deadline_s, patience_s, keep_alive_s = terms
        await asyncio.sleep(comes_s)
        deadline_s = None if deadline_s is None else now_s() + deadline_s
        with contextlib.suppress(TimeoutError, Overloaded):
            async with asyncio.timeout(patience_s), pool.use(model, keep_alive_s, deadline_s):
                mine = next(fake for fake in reversed(kitchen.made) if fake.card is model)
                try:
                    await asyncio.sleep(for_s)
                finally:
                    assert not mine.is_closed, "a model was closed under its user"
                    assert not mine.is_asleep, "a model slept under its user"

    async def scenario() -> None:
        pool = new_pool(kitchen, num_fit)
        await asyncio.gather(*(call(pool, model, terms) for model, *terms in calls))
        await pool.close()
        assert kitchen.most_alive <= num_fit
        assert not kitchen.had_twins
        assert all(fake.is_closed for fake in kitchen.made)

    async def within_an_hour() -> None:
        async with asyncio.timeout(3600):
            await scenario()

    run(within_an_hour())
