"""An asynchronous engine as the contracts ask for one: added to, stepped, cancelled."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from threading import Thread
from typing import Any

from canteen.core.engine import Capabilities, Delta, Engine, EngineStats, Work
from canteen.core.errors import CanteenError
from canteen.core.generation import Chunk, GenerationRequest, ScoreRequest


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
        self._engine = self._run(engine) if isinstance(engine, Coroutine) else engine
        self.heard: list[Work] = []
        self._work: list[Work] = []
        self.name = self._engine.name

    @property
    def capabilities(self) -> Capabilities:
        """The engine's."""
        return self._engine.capabilities

    def add(self, request: GenerationRequest | ScoreRequest) -> None:
        """Ask; raises what the engine raises before it answers."""
        assert isinstance(request, GenerationRequest)
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

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _begin(self, request: GenerationRequest) -> None:
        first: asyncio.Future[None] = self._loop.create_future()
        task = self._loop.create_task(self._answer(request, first))
        self._tasks[request.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(request.id, None))
        await first

    async def _answer(self, request: GenerationRequest, first: "asyncio.Future[None]") -> None:
        try:
            async with aclosing(self._engine.generate(request)) as chunks:
                async for chunk in chunks:
                    self._told(request, chunk, first)
        except CanteenError as error:
            if first.done():
                self._ready.append(Delta(request.id, error=error))
            else:
                self._tasks.pop(request.id, None)
                first.set_exception(error)

    def _told(
        self, request: GenerationRequest, chunk: Chunk, first: "asyncio.Future[None]"
    ) -> None:
        self._ready.append(Delta(request.id, chunk))
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
