"""Models of upstreams behind their circuit breaker."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

from canteen.core.engine import Capabilities, Embedder, Engine, EngineStats
from canteen.core.errors import CanteenError, DeadlineExceeded, EngineError, Overloaded
from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    Embeddings,
    GenerationRequest,
    Message,
    SamplingParams,
    ScoreRequest,
    Scores,
)
from canteen.runtime.breaker import Breaker

# Flow control: it is well, and has enough to do.
NO_FAILURES = ("upstream_busy",)
PROBE_TEXT = "Hello"
Probe = Callable[[], Awaitable[object]]


class Circuit:
    """A breaker with what it watches: it tells it of calls, and makes the probes, one at a time and
    only when somebody asks. `patience_s` is the longest that a good answer takes to begin.

    For the pool it is the health of the model.
    """

    is_over = False
    num_restarts = 0

    def __init__(self, breaker: Breaker, probe: Probe, patience_s: float) -> None:
        self.breaker = breaker
        self._probe = probe
        self._patience_s = patience_s
        self._probing: asyncio.Task[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether calls go through."""
        return self.breaker.state == "closed"

    @asynccontextmanager
    async def call(self) -> AsyncIterator["_Watch"]:
        """Around a call, which says when its answer begins. Raises Overloaded while the circuit is
        open, and has a probe made if it is time."""
        if self.breaker.begins_probe():
            self._probing = asyncio.ensure_future(self._try())
        self.breaker.check()
        watch = _Watch()
        try:
            yield watch
        except DeadlineExceeded:
            if watch.waited_s > self._patience_s:
                self.breaker.told(is_well=False)
            raise
        except (EngineError, Overloaded) as error:
            if error.code not in NO_FAILURES:
                self.breaker.told(is_well=False)
            raise
        self.breaker.told(is_well=watch.waited_s <= self._patience_s)

    async def close(self) -> None:
        """Make no more probes."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])

    async def _try(self) -> None:
        is_well = False
        try:
            async with asyncio.timeout(self._patience_s):
                await self._probe()
            is_well = True
        except (CanteenError, TimeoutError) as exc:
            # That it is busy is an answer too.
            is_well = isinstance(exc, CanteenError) and exc.code in NO_FAILURES
        finally:
            self.breaker.probed(is_well=is_well)


class _Watch:
    """How long an answer has been waited for."""

    def __init__(self) -> None:
        self._asked_s = time.monotonic()
        self._began_s: float | None = None

    @property
    def waited_s(self) -> float:
        """Until its beginning, or now."""
        return (self._began_s or time.monotonic()) - self._asked_s

    def begins(self) -> None:
        """A piece has come."""
        self._began_s = self._began_s or time.monotonic()


class Guarded:
    """An Engine of an upstream that is asked only while its circuit is closed."""

    def __init__(self, engine: Engine, breaker: Breaker, patience_s: float) -> None:
        self._engine = engine
        self.name = engine.name
        self.circuit = Circuit(breaker, self._probe, patience_s)

    @property
    def capabilities(self) -> Capabilities:
        """The engine's."""
        return self._engine.capabilities

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        """Generate; raises Overloaded while the circuit is open."""
        async with (
            self.circuit.call() as watch,
            aclosing(self._engine.generate(request)) as chunks,
        ):
            async for chunk in chunks:
                watch.begins()
                yield chunk

    async def score(self, request: ScoreRequest) -> Scores:
        """As the engine does."""
        return await self._engine.score(request)

    async def stats(self) -> EngineStats:
        """The engine's."""
        return await self._engine.stats()

    async def close(self) -> None:
        """Close the engine."""
        await self.circuit.close()
        await self._engine.close()

    async def _probe(self) -> None:
        """One token, of a text that is nobody's."""
        sampling = SamplingParams(max_tokens=1)
        message = Message("user", PROBE_TEXT)
        request = GenerationRequest("probe", "", messages=(message,), sampling=sampling)
        async with aclosing(self._engine.generate(request)) as chunks:
            async for _ in chunks:
                pass


class GuardedEmbedder:
    """An Embedder of an upstream that is asked only while its circuit is closed."""

    def __init__(self, embedder: Embedder, breaker: Breaker, patience_s: float) -> None:
        self._embedder = embedder
        self.name = embedder.name
        self.circuit = Circuit(breaker, self._probe, patience_s)

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Embed; raises Overloaded while the circuit is open."""
        async with self.circuit.call():
            return await self._embedder.embed(request)

    async def stats(self) -> EngineStats:
        """The embedder's."""
        return await self._embedder.stats()

    async def close(self) -> None:
        """Close the embedder."""
        await self.circuit.close()
        await self._embedder.close()

    async def _probe(self) -> None:
        await self._embedder.embed(EmbeddingRequest("probe", "", (PROBE_TEXT,)))
