"""LoRA adapters on a model of vLLM: many on one copy of its weights, one to a request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from canteen.core.errors import EngineError
from canteen.core.turns import guarded


class VllmAdapters:
    """`engine` is an AsyncLLM that was loaded with room for adapters, or is asked for none."""

    def __init__(self, engine: Any, *, takes_turns: bool) -> None:
        self._engine = engine
        self._named: dict[str, Any] = {}
        self._put_on: set[str] = set()
        self._turns = Turns() if takes_turns else None

    @asynccontextmanager
    async def using(self, folder: str) -> AsyncIterator[Any]:
        """The library's word for the adapter in a folder, which is on the model for the time of the
        block; None for the model alone. Raises EngineError where it cannot be put on."""
        adapter = await self._found(folder) if folder else None
        if self._turns is None:
            yield adapter
            return
        async with self._turns.turn(has_adapter=adapter is not None):
            yield adapter

    async def _found(self, folder: str) -> Any:
        from vllm.lora.request import LoRARequest

        number = len(self._named) + 1
        adapter = self._named.setdefault(folder, LoRARequest(folder, number, folder))
        if folder not in self._put_on:
            # One that fails within a step would end the library's process, and all requests.
            putting = self._engine.add_lora(adapter)
            if not await guarded(putting, False, "an adapter could not be put on a model"):
                raise EngineError(
                    "this adapter could not be put on its model; pull it again, and if that does "
                    "not help, the log has why"
                )
            self._put_on.add(folder)
        return adapter


class Turns:
    """Lets requests with an adapter and those without compute at different times: on processors,
    the library gives those without the weights of an adapter when both are in one step
    (vllm-project/vllm, pull request 48421)."""

    def __init__(self) -> None:
        self._has_adapter = False
        self._num_running = 0
        self._waiting: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def turn(self, *, has_adapter: bool) -> AsyncIterator[None]:
        """Wait until nobody of the others computes, and behind those who wait already."""
        is_new = True
        while self._num_running and (
            self._has_adapter != has_adapter or (is_new and self._waiting)
        ):
            is_new = False
            self._waiting.append(asyncio.get_running_loop().create_future())
            await self._waiting[-1]
        self._has_adapter = has_adapter
        self._num_running += 1
        try:
            yield
        finally:
            self._num_running -= 1
            if not self._num_running:
                for waiting in self._waiting:
                    if not waiting.done():
                        waiting.set_result(None)
                self._waiting.clear()
