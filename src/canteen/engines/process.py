"""The gateway's side of a worker: starts it, talks to it, starts it again after a crash."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from typing import Any

import msgspec

from canteen.core.engine import Capabilities, EngineStats, StepListener, StepRecord
from canteen.core.errors import CanteenError, DeadlineExceeded, EngineError, WorkerDied
from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    Embeddings,
    GenerationRequest,
    ScoreRequest,
    Scores,
)
from canteen.engines.coalescing import Inbox, Pace, Said, is_last
from canteen.engines.environment import OURS, Program
from canteen.engines.keeping import kept_alive
from canteen.engines.wire import (
    Add,
    AskStats,
    Cancel,
    Command,
    Embed,
    Embedded,
    Event,
    Load,
    Loaded,
    LoadFailed,
    Rest,
    Rested,
    Score,
    Stats,
    Step,
    WireError,
    decode_event,
    frame,
    from_wire,
    received,
)

logger = logging.getLogger(__name__)

MOST_FAILED_LOADS = 3
STATS_WITHIN_S = 0.5
# As many gigabytes as a machine has go over its bus in less.
REST_WITHIN_S = 120.0
# A step takes seconds at most, on the slowest machine.
MOST_SILENT_S = 120.0
# How often it is asked meanwhile whether it is there.
QUESTIONS = 4
ENDED = "the process that held the model ended; please send the request again"
UNLOADED = "the model was taken out of memory; please send the request again"


class Unheard(StepListener):
    """Listens to nothing, for a worker whose steps nobody counts."""

    def loading(self) -> None: ...

    def loaded(self, cpu_s: float) -> None: ...

    def step(self, record: StepRecord) -> None: ...

    def lost(self) -> None: ...


class Worker:
    """A worker process that is kept alive: after a crash it is started again, with back-off.

    What was in flight at a crash ends with WorkerDied; what comes while it is being started
    again waits for it. One that owes answers and says nothing for `most_silent_s` is killed.
    `listener` hears what each of its processes did. `program` is the Python it runs in.
    """

    def __init__(
        self,
        engine: str,
        options: dict[str, Any],
        listener: StepListener | None = None,
        *,
        most_silent_s: float = MOST_SILENT_S,
        program: Program = OURS,
    ) -> None:
        self._load = Load(engine, options, is_heard=listener is not None)
        self._listener = listener or Unheard()
        self._inboxes: dict[str, Inbox] = {}
        self._pace = Pace()
        self._stats: asyncio.Future[EngineStats] | None = None
        self._rested: asyncio.Future[None] | None = None
        self._is_to_sleep = False
        self._loaded: asyncio.Future[Loaded] = asyncio.get_running_loop().create_future()
        self._writer: asyncio.StreamWriter | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._last_stats = EngineStats()
        self._num_failed_loads = 0
        self._most_silent_s = most_silent_s
        self._program = program
        self._heard_s = 0.0
        self.num_restarts = 0

    async def start(self) -> Loaded:
        """Start the process and load the model; raises what loading it raised."""
        self._supervisor = asyncio.create_task(kept_alive(self._live, self._ended, self._closing))
        try:
            return await asyncio.shield(self._loaded)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End the process; what is in flight ends with WorkerDied."""
        self._closing.set()
        self._kill()
        if self._supervisor is not None:
            # Not cancelled: it must reap the process it may just have started.
            await asyncio.shield(self._supervisor)
        if not self._loaded.done():
            self._fail_loading(WorkerDied(UNLOADED))

    @property
    def is_ready(self) -> bool:
        """Whether the model is loaded now."""
        return self._loaded.done() and not self._loaded.exception()

    @property
    def sleeps(self) -> bool:
        """Whether the model that is loaded can give its device free and stay."""
        capabilities = self._loaded.result().capabilities if self.is_ready else None
        return capabilities is not None and capabilities.sleeps

    @property
    def is_over(self) -> bool:
        """Whether it has given up: closed, or several loads in a row have failed."""
        return self._supervisor is not None and self._supervisor.done()

    @property
    def silent_s(self) -> float:
        """Seconds in which nothing was heard of it; 0 while it owes no answer."""
        if not self._inboxes:
            return 0.0
        return asyncio.get_running_loop().time() - self._heard_s

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        return self._process.pid if self._process else None

    @contextlib.asynccontextmanager
    async def asking(self, command: Add | Score | Embed) -> AsyncIterator[Inbox]:
        """Start a request: its answers come to the inbox, or DeadlineExceeded when its time is
        over. What still runs of it when the block is left is cancelled.
        """
        request = command.request
        await self._until_loaded(request.deadline_s)
        if not self._inboxes:
            self._heard_s = asyncio.get_running_loop().time()
        inbox = self._inboxes[request.id] = Inbox(self._pace)
        self._send(command)
        try:
            with _alarm(inbox, request.deadline_s):
                yield inbox
        finally:
            inbox.close()
            if self._inboxes.pop(request.id, None) is not None:
                self._send(Cancel(request.id))

    async def _until_loaded(self, deadline_s: float | None) -> None:
        try:
            async with asyncio.timeout_at(deadline_s):
                await asyncio.shield(self._loaded)
        except TimeoutError:
            raise DeadlineExceeded from None
        if self._closing.is_set():
            raise WorkerDied(UNLOADED)

    async def stats(self) -> EngineStats:
        """The worker's gauges, the last known ones while it is busy with a step; zeros while
        it is not there.
        """
        if not self.is_ready or self._closing.is_set():
            return EngineStats()
        if self._stats is None or self._stats.done():
            self._stats = asyncio.get_running_loop().create_future()
            self._send(AskStats())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STATS_WITHIN_S):
                self._last_stats = await asyncio.shield(self._stats)
        return self._last_stats

    async def rest(self, *, is_asleep: bool) -> None:
        """Have the model fall asleep, or wake up; raises EngineError or WorkerDied, and it is then
        of no use any more."""
        await self._until_loaded(None)
        self._rested = asyncio.get_running_loop().create_future()
        self._is_to_sleep = is_asleep
        self._send(Rest(is_asleep))
        try:
            async with asyncio.timeout(REST_WITHIN_S):
                await self._rested
        except TimeoutError:
            raise EngineError("the model neither fell asleep nor woke up") from None

    def _send(self, command: Command) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(frame(command))

    def _ended(self, pause_s: float) -> None:
        self.num_restarts += 1
        logger.error(
            "a worker ended; starting it again",
            extra={"engine": self._load.engine, "pause_s": pause_s},
        )

    async def _live(self) -> bool:
        """One life of the process, from its start to its end; whether there is to be another."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                # A session of its own: Ctrl-C in a terminal is for the gateway to handle.
                self._process = await asyncio.create_subprocess_exec(
                    self._program.python,
                    "-m",
                    "canteen.engines.worker",
                    str(theirs.fileno()),
                    pass_fds=(theirs.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                    env={**os.environ, **self._program.environ},
                    start_new_session=True,
                )
            self._listener.loading()
            reader, self._writer = await asyncio.open_unix_connection(sock=ours)
            self._send(self._load)
            if not self._closing.is_set():
                async with _beside(self._watch()):
                    await self._listen(reader)
        except (OSError, msgspec.DecodeError, asyncio.InvalidStateError):
            # No process or memory to be had, or a worker that talks nonsense: perhaps next time.
            logger.exception("a worker could not be started, or not be understood")
        finally:
            self._listener.lost()
            self._bury()
            ours.close()
            await self._reap()
        return not (self._loaded.done() and self._loaded.exception())

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        async for bodies in received(reader):
            self._pace.look()
            for body in bodies:
                self._handle(decode_event(body))
            self._heard_s = asyncio.get_running_loop().time()

    async def _watch(self) -> None:
        """Kill a process that hangs; `_listen` then reads its end.

        A long prefill says nothing of its own accord, but it is asked, and answers between steps.
        """
        while (left_s := self._most_silent_s - self.silent_s) > 0:
            if self._inboxes:
                self._send(AskStats())
            await asyncio.sleep(min(left_s, self._most_silent_s / QUESTIONS))
        logger.error("a worker hangs", extra={"engine": self._load.engine, "pid": self.pid})
        self._kill()

    def _handle(self, event: Event) -> None:
        if isinstance(event, Step):
            if event.record is not None:
                self._listener.step(event.record)
            for delta in event.deltas:
                self._deliver(delta.request_id, delta.chunk or delta.scores, delta.error)
        elif isinstance(event, Embedded):
            self._deliver(event.request_id, event.embeddings, event.error)
        elif isinstance(event, Stats):
            if self._stats is not None and not self._stats.done():
                self._stats.set_result(event.stats)
        elif isinstance(event, Rested):
            self._hear_rest(event)
        elif isinstance(event, Loaded):
            self._num_failed_loads = 0
            self._listener.loaded(event.cpu_s)
            self._loaded.set_result(event)
        elif isinstance(event, LoadFailed):
            self._fail_loading(from_wire(event.error))

    def _hear_rest(self, event: Rested) -> None:
        # One that was waited for no longer may be told late.
        if event.is_asleep == self._is_to_sleep:
            self._end_rest(from_wire(event.error) if event.error else None)

    def _end_rest(self, error: CanteenError | None) -> None:
        if self._rested is None or self._rested.done():
            return
        if error is None:
            self._rested.set_result(None)
        else:
            self._rested.set_exception(error)

    def _deliver(self, request_id: str, answer: Said | None, error: WireError | None) -> None:
        said = answer if error is None else from_wire(error)
        if said is None:
            return
        # What has ended needs no cancelling.
        find = self._inboxes.pop if is_last(said) else self._inboxes.get
        inbox = find(request_id, None)
        if inbox is not None:
            inbox.put(said)

    async def _reap(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None
        if self._process is not None:
            self._kill()
            await self._process.wait()
        self._process = None

    def _kill(self) -> None:
        """End the process, and those that it has started, which may outlive it: its session."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _bury(self) -> None:
        """End what was in flight. Who comes now waits for the next life, unless there is none:
        the model is unloaded, or was never loaded."""
        for inbox in self._inboxes.values():
            inbox.put(WorkerDied(ENDED))
        self._inboxes.clear()
        self._end_rest(WorkerDied(ENDED))
        if self._stats is not None and not self._stats.done():
            self._stats.set_result(EngineStats())
        if self.is_ready and not self._closing.is_set():
            self._loaded = asyncio.get_running_loop().create_future()
            return
        self._num_failed_loads += 1
        if not self._loaded.done() and self._num_failed_loads > MOST_FAILED_LOADS:
            self._fail_loading(EngineError("the model's process ends while it is loading"))

    def _fail_loading(self, error: CanteenError) -> None:
        self._loaded.set_exception(error)
        # Looked at here, since perhaps nobody waits for it.
        self._loaded.exception()


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do `work` for the time of the block at most."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()


@contextlib.contextmanager
def _alarm(inbox: Inbox, deadline_s: float | None) -> Iterator[None]:
    """The loop's clock is `time.monotonic`, as the deadline's is."""
    if deadline_s is None:
        yield
        return
    loop = asyncio.get_running_loop()
    timer = loop.call_at(deadline_s, inbox.put, DeadlineExceeded())
    try:
        yield
    finally:
        timer.cancel()


class WorkerEngine:
    """An Engine whose model lives in a worker."""

    def __init__(self, worker: Worker, loaded: Loaded) -> None:
        if loaded.capabilities is None:
            raise EngineError("this model makes embeddings, not text")
        self.worker = worker
        self.name = loaded.name
        self.capabilities: Capabilities = loaded.capabilities

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        """Yield the chunks; closing early cancels the sequence in the worker."""
        async with self.worker.asking(Add(request)) as inbox:
            chunk: Chunk | None = None
            while chunk is None or not is_last(chunk):
                chunk = await inbox.expect(Chunk)
                yield chunk

    async def score(self, request: ScoreRequest) -> Scores:
        """Score; who stops waiting cancels what has not been computed."""
        async with self.worker.asking(Score(request)) as inbox:
            return await inbox.expect(Scores)

    async def stats(self) -> EngineStats:
        """The worker's gauges."""
        return await self.worker.stats()

    async def close(self) -> None:
        """End the worker."""
        await self.worker.close()


class WorkerEmbedder:
    """An Embedder whose model lives in a worker."""

    def __init__(self, worker: Worker, loaded: Loaded) -> None:
        self.worker = worker
        self.name = loaded.name

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Embed; a batch nobody waits for any more is dropped, unless it has begun."""
        async with self.worker.asking(Embed(request)) as inbox:
            return await inbox.expect(Embeddings)

    async def stats(self) -> EngineStats:
        """The worker's gauges."""
        return await self.worker.stats()

    async def close(self) -> None:
        """End the worker."""
        await self.worker.close()
