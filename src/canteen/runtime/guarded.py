"""Models of upstreams behind their circuit breaker."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import NamedTuple

from canteen.core.engine import Capabilities, Embedder, Engine, EngineStats
from canteen.core.errors import (
    CanteenError,
    DeadlineExceeded,
    EngineError,
    Overloaded,
    UpstreamFailed,
)
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

logger = logging.getLogger(__name__)

# Flow control: it is well, and has enough to do.
NO_FAILURES = ("upstream_busy",)
PROBE_TEXT = "Hello"
Probe = Callable[[], Awaitable[object]]
# Hears how a call ended, and the seconds until its answer began, None where it never did.
Tell = Callable[[str, float | None], object]


class Named(NamedTuple):
    """An upstream's model by its name here, and where it is asked."""

    model: str
    base_url: str

    def of(self, error: UpstreamFailed) -> UpstreamFailed:
        """An error that tells whose it is."""
        named = UpstreamFailed(f"{self.model}: {error.message}", code=error.code)
        named.base_url = self.base_url
        return named


class Circuit:
    """A breaker with what it watches: it tells it of calls, and makes the probes, one at a time and
    only when somebody asks. `patience_s` is the longest that a good answer takes to begin.

    For the pool it is the health of the model.
    """

    is_over = False
    num_restarts = 0

    def __init__(
        self, named: Named, breaker: Breaker, probe: Probe, patience_s: float, tell: Tell
    ) -> None:
        self._named = named
        self.breaker = breaker
        self._probe = probe
        self._patience_s = patience_s
        self._tell = tell
        self._probing: asyncio.Task[bool] | None = None

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
            self._probing.add_done_callback(self._tried)
        self.breaker.check()
        watch = _Watch()
        outcome = "left"
        try:
            yield watch
            outcome = "ok"
        except CanteenError as error:
            outcome = error.code
            self._weigh(error, watch)
            if not isinstance(error, UpstreamFailed):
                raise
            logger.info("%s at %s failed: %s", *self._named, error.message)
            raise self._named.of(error) from error
        finally:
            self._tell(outcome, watch.began_within_s)
        self.breaker.told(is_well=watch.waited_s <= self._patience_s)

    def _weigh(self, error: CanteenError, watch: "_Watch") -> None:
        """Whether an error is the upstream's."""
        if isinstance(error, DeadlineExceeded):
            is_failure = watch.waited_s > self._patience_s
        else:
            is_failure = isinstance(error, EngineError | Overloaded)
        if is_failure and error.code not in NO_FAILURES:
            self.breaker.told(is_well=False)

    async def close(self) -> None:
        """Make no more probes."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])

    async def _try(self) -> bool:
        """Whether a probe goes well; that it is busy is an answer too."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._probe()
        except (CanteenError, TimeoutError) as exc:
            return isinstance(exc, CanteenError) and exc.code in NO_FAILURES
        return True

    def _tried(self, probing: "asyncio.Task[bool]") -> None:
        is_over = not probing.cancelled() and probing.exception() is None
        self.breaker.probed(is_well=is_over and probing.result())


class _Watch:
    """How long an answer has been waited for."""

    def __init__(self) -> None:
        self._asked_s = time.monotonic()
        self._began_s: float | None = None

    @property
    def waited_s(self) -> float:
        """Until its beginning, or now."""
        return (self._began_s or time.monotonic()) - self._asked_s

    @property
    def began_within_s(self) -> float | None:
        """Until its beginning; None where there is none."""
        return None if self._began_s is None else self._began_s - self._asked_s

    def begins(self) -> None:
        """A piece has come."""
        self._began_s = self._began_s or time.monotonic()


MakeCircuit = Callable[[Probe], Circuit]


class Guarded:
    """An Engine of an upstream that is asked only while its circuit is closed."""

    def __init__(self, engine: Engine, circuit: MakeCircuit) -> None:
        self._engine = engine
        self.name = engine.name
        self.circuit = circuit(self._probe)

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

    def __init__(self, embedder: Embedder, circuit: MakeCircuit) -> None:
        self._embedder = embedder
        self.name = embedder.name
        self.circuit = circuit(self._probe)

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
