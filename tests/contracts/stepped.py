"""An asynchronous engine as the contracts ask for one: added to, stepped, cancelled."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from threading import Thread
from typing import Any

from canteen.core.engine import Capabilities, Delta, Engine, EngineStats, Work
from canteen.core.errors import CanteenError
from canteen.core.generation import GenerationRequest, ScoreRequest

WITHIN_S = 60.0
START_WITHIN_S = 900.0
SOON_S = 0.5


class Stepped:
    """Runs an engine on an event loop of its own, and makes it there where it is not made yet. A
    request is added once its first piece is there, since only then does an upstream say what is
    wrong with it. `heard` has the work that was told since it was last looked at."""

    def __init__(self, engine: Engine | Coroutine[Any, Any, Engine]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._ready: list[Delta] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._engine: Engine = (
            self._run(engine, START_WITHIN_S) if isinstance(engine, Coroutine) else engine
        )
        self.heard: list[Work] = []
        self._work: list[Work] = []
        self.name = self._engine.name

    @property
    def capabilities(self) -> Capabilities:
        """The engine's."""
        return self._engine.capabilities

    def add(self, request: GenerationRequest | ScoreRequest) -> None:
        """Ask; raises what the engine raises before it answers."""
        self._run(self._begin(request))

    def cancel(self, request_id: str) -> None:
        """Leave."""
        self._run(self._end(request_id))

    def has_work(self) -> bool:
        """Whether something is under way, or was not told yet."""
        return bool(self._tasks or self._ready)

    def step(self) -> Sequence[Delta]:
        """A piece of what has come."""
        taken: list[Delta] = self._run(self._taken())
        return taken

    def work(self) -> Sequence[Work]:
        """What was heard with it; nothing of an upstream."""
        return self._work

    def stats(self) -> EngineStats:
        """How many are under way, or were not told to their end."""
        untold = {delta.request_id for delta in self._ready}
        return EngineStats(num_running=len(untold | self._tasks.keys()))

    def close(self) -> None:
        """End it."""
        self._run(self._engine.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any], within_s: float = WITHIN_S) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(within_s)

    async def _begin(self, request: GenerationRequest | ScoreRequest) -> None:
        first: asyncio.Future[None] = self._loop.create_future()
        task = self._loop.create_task(self._answer(request, first))
        self._tasks[request.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(request.id, None))
        await first

    async def _answer(
        self, request: GenerationRequest | ScoreRequest, first: "asyncio.Future[None]"
    ) -> None:
        try:
            if isinstance(request, ScoreRequest):
                await self._score(request, first)
                return
            async with aclosing(self._engine.generate(request)) as chunks:
                async for chunk in chunks:
                    self._told(Delta(request.id, chunk), first)
        except CanteenError as error:
            if first.done():
                self._ready.append(Delta(request.id, error=error))
            else:
                self._tasks.pop(request.id, None)
                first.set_exception(error)

    async def _score(self, request: ScoreRequest, first: "asyncio.Future[None]") -> None:
        # What is wrong with it is known before anything is computed.
        asking = asyncio.ensure_future(self._engine.score(request))
        await asyncio.wait([asking], timeout=SOON_S)
        if not asking.done():
            first.set_result(None)
        self._told(Delta(request.id, scores=await asking), first)

    def _told(self, delta: Delta, first: "asyncio.Future[None]") -> None:
        self._ready.append(delta)
        if not first.done():
            first.set_result(None)

    async def _end(self, request_id: str) -> None:
        task = self._tasks.pop(request_id, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._ready = [delta for delta in self._ready if delta.request_id != request_id]

    async def _taken(self) -> list[Delta]:
        await asyncio.sleep(0.001)
        taken, self._ready = self._ready[:1], self._ready[1:]
        self._work = self.heard[:]
        self.heard.clear()
        return taken
