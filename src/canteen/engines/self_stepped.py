"""The worker's loop for an engine that steps by itself: a task a request, news in one message."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing, suppress

from canteen.core.engine import Delta, SelfSteppedEngine
from canteen.core.errors import EngineError
from canteen.core.generation import GenerationRequest, ScoreRequest
from canteen.core.processes import descendants
from canteen.core.turns import guarded
from canteen.engines.connection import (
    Connection,
    check_adapter,
    check_deadline,
    cpu_s,
    measured,
    receive,
    step_record,
    told,
)
from canteen.engines.process import MOST_SILENT_S
from canteen.engines.wire import (
    Add,
    AskStats,
    Cancel,
    Command,
    Loaded,
    Rest,
    Rested,
    Score,
    Stats,
    Step,
    WireDelta,
    to_wire,
    wire_delta,
)


async def serve(
    engine: SelfSteppedEngine,
    commands: Iterator[Command],
    connection: Connection,
    *,
    is_heard: bool,
    most_silent_s: float = MOST_SILENT_S,
) -> None:
    """Serve a gateway until it is gone. Ends by itself only where the engine is broken, or has
    requests and computes nothing for so long."""
    await engine.warm_up()
    loop = _Loop(engine, connection, is_heard=is_heard, most_silent_s=most_silent_s)
    await loop.run(commands)


class _Loop:
    """Runs each request as a task. What a pass of the event loop gave is one step, since a step of
    the engine wakes all requests that have something of it."""

    def __init__(
        self,
        engine: SelfSteppedEngine,
        connection: Connection,
        *,
        is_heard: bool,
        most_silent_s: float,
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._is_heard = is_heard
        self._most_silent_s = most_silent_s
        self._others = descendants(os.getpid())
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._news: list[WireDelta] = []
        self._num_steps = 0
        self._began_s = 0.0
        self._is_broken = asyncio.Event()
        self._telling: asyncio.Task[None] | None = None
        self._resting: asyncio.Task[None] | None = None

    async def run(self, commands: Iterator[Command]) -> None:
        """See `serve`."""
        loaded = Loaded(self._engine.name, self._engine.capabilities, cpu_s(self._others))
        self._connection.send(loaded)
        loop = asyncio.get_running_loop()

        def tell(command: Command) -> None:
            # Once the loop has ended there is nobody to obey; the process ends too.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._obey, command)

        threading.Thread(target=receive, args=(commands, tell), daemon=True).start()
        await self._is_broken.wait()

    def _obey(self, command: Command) -> None:
        if isinstance(command, Add | Score):
            self._begin(command.request)
        elif isinstance(command, Cancel):
            if (task := self._tasks.get(command.request_id)) is not None:
                task.cancel()
        elif isinstance(command, AskStats):
            self._look()
            self._telling = asyncio.create_task(self._tell_stats())
        elif isinstance(command, Rest):
            self._resting = asyncio.create_task(self._rest(command))

    def _begin(self, request: GenerationRequest | ScoreRequest) -> None:
        if not self._tasks:
            self._began_s = time.monotonic()
        task = self._tasks[request.id] = asyncio.create_task(self._answer(request))
        task.add_done_callback(lambda done: self._ended(request.id, done))

    async def _answer(self, request: GenerationRequest | ScoreRequest) -> None:
        check_deadline(request)
        check_adapter(request, self._engine.capabilities)
        if isinstance(request, ScoreRequest):
            self._tell(wire_delta(Delta(request.id, scores=await self._engine.score(request))))
            return
        async with aclosing(self._engine.generate(request)) as chunks:
            async for chunk in chunks:
                self._tell(wire_delta(Delta(request.id, chunk)))

    def _ended(self, request_id: str, task: "asyncio.Task[None]") -> None:
        del self._tasks[request_id]
        error = None if task.cancelled() else task.exception()
        if self._engine.is_broken:
            self._is_broken.set()
        elif error is not None:
            # What is no Exception has ended the loop.
            assert isinstance(error, Exception)
            self._tell(WireDelta(request_id, None, to_wire(told(error))))

    def _look(self) -> None:
        """Tell work of which no request has heard yet, or find that there is none any more."""
        self._send()
        if self._tasks and time.monotonic() - self._began_s > self._most_silent_s:
            self._is_broken.set()

    async def _tell_stats(self) -> None:
        stats = await self._engine.stats()
        self._connection.send(Stats(measured(stats, self._num_steps, self._others)))

    async def _rest(self, command: Rest) -> None:
        work = self._engine.sleep() if command.is_asleep else self._engine.wake_up()
        failed = to_wire(EngineError("the model cannot fall asleep, or wake up"))
        error = await guarded(work, failed)
        self._connection.send(Rested(command.is_asleep, error))

    def _tell(self, delta: WireDelta) -> None:
        if not self._news:
            # After the others that this pass of the loop wakes.
            asyncio.get_running_loop().call_soon(self._send)
        self._news.append(delta)

    def _send(self) -> None:
        news, self._news = self._news, []
        work = self._engine.work()
        if not news and not work:
            return
        record = step_record(self._began_s, work, self._others) if self._is_heard else None
        self._num_steps += 1
        self._began_s = time.monotonic()
        self._connection.send(Step(news, record))
