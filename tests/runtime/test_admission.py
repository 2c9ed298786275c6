"""The gate before a model: order, bounds, leaving early, and what a refused caller is told."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import Overloaded
from canteen.runtime.admission import Gate


async def hold(gate: Gate, release: asyncio.Event, order: list[int], number: int) -> None:
    async with gate.enter():
        order.append(number)
        await release.wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_those_who_wait_enter_in_the_order_they_came() -> None:
    gate, release, order = Gate(2, 10), asyncio.Event(), list[int]()
    tasks = [asyncio.create_task(hold(gate, release, order, n)) for n in range(5)]
    await settle()

    assert (gate.num_running, gate.num_waiting) == (2, 3)
    release.set()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]
    assert (gate.num_running, gate.num_waiting) == (0, 0)


async def test_a_full_queue_refuses_at_once_and_says_for_how_long() -> None:
    gate, release = Gate(1, 1), asyncio.Event()
    tasks = [asyncio.create_task(hold(gate, release, [], n)) for n in range(2)]
    await settle()

    with pytest.raises(Overloaded, match="maximum pending requests exceeded") as caught:
        async with gate.enter():
            pytest.fail("it must not enter")

    assert 0 < caught.value.retry_after_s <= 60
    release.set()
    await asyncio.gather(*tasks)


async def test_one_who_leaves_the_queue_lets_the_next_in() -> None:
    gate, release, order = Gate(1, 10), asyncio.Event(), list[int]()
    tasks = [asyncio.create_task(hold(gate, release, order, n)) for n in range(3)]
    await settle()

    tasks[1].cancel()
    await settle()
    assert gate.num_waiting == 1
    release.set()
    await asyncio.gather(tasks[0], tasks[2])
    assert order == [0, 2]


async def test_a_request_of_more_sequences_than_there_are_places_still_enters() -> None:
    gate = Gate(4, 10)

    async with gate.enter(100):
        assert gate.num_running == 4

    assert gate.num_running == 0


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=20))
async def test_the_gate_never_holds_more_than_its_capacity(crowd: list[tuple[int, bool]]) -> None:
    gate, most = Gate(4, 100), 0

    async def visit(weight: int) -> None:
        nonlocal most
        async with gate.enter(weight):
            most = max(most, gate.num_running)
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(visit(weight)) for weight, _ in crowd]
    await asyncio.sleep(0)
    for task, (_, leaves) in zip(tasks, crowd, strict=True):
        if leaves:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert most <= 4
    assert (gate.num_running, gate.num_waiting) == (0, 0)
