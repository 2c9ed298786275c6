"""At the door of a model: at most so many running, a bounded queue, and a word on how long."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace

from canteen.core.engine import Capabilities, Embedder, Engine, EngineStats
from canteen.core.errors import Overloaded
from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    Embeddings,
    GenerationRequest,
)

SMOOTHING = 0.2
LONGEST_RETRY_AFTER_S = 60.0


@dataclass(slots=True)
class Gate:
    """Lets in `capacity` sequences at a time, first come first served, the rest wait in a queue
    of at most `max_queue` requests.

    The wait that a refused caller is told is the work ahead of it divided by the measured pace.
    """

    capacity: int
    max_queue: int
    clock: Callable[[], float] = time.monotonic
    num_running: int = 0
    service_s: float = 1.0
    _queue: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque)

    @property
    def num_waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    @asynccontextmanager
    async def enter(self, weight: int = 1) -> AsyncIterator[float]:
        """Wait for room for `weight` sequences; gives the seconds waited. Raises Overloaded."""
        weight = min(weight, self.capacity)
        arrived_s = self.clock()
        await self._wait(weight)
        entered_s = self.clock()
        try:
            yield entered_s - arrived_s
        finally:
            self.service_s += SMOOTHING * (self.clock() - entered_s - self.service_s)
            self._leave(weight)

    async def _wait(self, weight: int) -> None:
        if not self._queue and self.num_running + weight <= self.capacity:
            self.num_running += weight
            return
        if len(self._queue) >= self.max_queue:
            raise Overloaded(
                "server busy, please try again: maximum pending requests exceeded",
                retry_after_s=self.retry_after_s(),
            )
        turn = asyncio.get_running_loop().create_future()
        self._queue.append((weight, turn))
        try:
            await turn
        except asyncio.CancelledError:
            self._give_up(weight, turn)
            raise

    def retry_after_s(self) -> float:
        """Seconds until the work ahead is done, at the pace of the last requests."""
        ahead = self.num_running + sum(weight for weight, _ in self._queue)
        return min(self.service_s * ahead / self.capacity, LONGEST_RETRY_AFTER_S)

    def _give_up(self, weight: int, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self._leave(weight)
            return
        self._queue = deque(entry for entry in self._queue if entry[1] is not turn)
        self._admit()

    def _leave(self, weight: int) -> None:
        self.num_running -= weight
        self._admit()

    def _admit(self) -> None:
        while self._queue and self.num_running + self._queue[0][0] <= self.capacity:
            weight, turn = self._queue.popleft()
            if not turn.done():
                self.num_running += weight
                turn.set_result(None)


class Limited:
    """An Engine that lets in as many sequences as the engine holds."""

    def __init__(self, engine: Engine, max_queue: int) -> None:
        self._engine = engine
        self.name = engine.name
        self.gate = Gate(engine.capabilities.max_num_seqs, max_queue)

    @property
    def capabilities(self) -> Capabilities:
        """The engine's."""
        return self._engine.capabilities

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        """Wait for a place, then generate; the usage tells how long it waited."""
        async with (
            self.gate.enter(request.n) as queue_s,
            aclosing(self._engine.generate(request)) as chunks,
        ):
            async for chunk in chunks:
                if chunk.usage is not None:
                    chunk = replace(chunk, usage=replace(chunk.usage, queue_s=queue_s))
                yield chunk

    async def stats(self) -> EngineStats:
        """The engine's."""
        return await self._engine.stats()

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()


class LimitedEmbedder:
    """An Embedder that takes one batch at a time."""

    def __init__(self, embedder: Embedder, max_queue: int) -> None:
        self._embedder = embedder
        self.name = embedder.name
        self.gate = Gate(1, max_queue)

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Wait for the turn, then embed."""
        async with self.gate.enter() as queue_s:
            embeddings = await self._embedder.embed(request)
        return replace(embeddings, usage=replace(embeddings.usage, queue_s=queue_s))

    async def stats(self) -> EngineStats:
        """The embedder's."""
        return await self._embedder.stats()

    async def close(self) -> None:
        """Close the embedder."""
        await self._embedder.close()
