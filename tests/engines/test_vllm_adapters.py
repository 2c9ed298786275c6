"""Requests with an adapter and those without take turns, where they must."""

import asyncio

from canteen.engines.vllm_adapters import Turns


async def test_who_waits_for_the_others_is_not_passed_by_those_who_come_later() -> None:
    turns = Turns()
    order: list[str] = []
    may_end = {name: asyncio.Event() for name in ("base 1", "base 2", "adapter")}

    async def ask(name: str) -> None:
        async with turns.turn(has_adapter=name == "adapter"):
            order.append(name)
            await may_end[name].wait()

    async with asyncio.timeout(5), asyncio.TaskGroup() as asking:
        for name in ("base 1", "adapter", "base 2"):
            asking.create_task(ask(name))
            await asyncio.sleep(0)
        assert order == ["base 1"]
        for event in may_end.values():
            event.set()

    assert order == ["base 1", "adapter", "base 2"]


async def test_those_of_one_kind_compute_together() -> None:
    turns = Turns()

    async with (
        asyncio.timeout(5),
        turns.turn(has_adapter=True),
        turns.turn(has_adapter=True),
    ):
        pass
