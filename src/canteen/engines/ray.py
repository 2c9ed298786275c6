"""The gateway's side of a model on a Ray cluster: it asks its replicas, and counts them.

Ray Serve places, routes and scales. What is waited for, counted and translated stays here.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from statistics import fmean
from typing import Any

from canteen.core.engine import Capabilities, ClusterListener, EngineStats
from canteen.core.errors import (
    CanteenError,
    DeadlineExceeded,
    EngineError,
    WorkerDied,
)
from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    Embeddings,
    GenerationRequest,
    ScoreRequest,
    Scores,
)
from canteen.core.turns import Turns
from canteen.engines.coalescing import is_last
from canteen.engines.ray_wanted import Wanted
from canteen.engines.wire import (
    Add,
    Embed,
    Report,
    Score,
    Told,
    decode_report,
    decode_told,
    encode,
)

logger = logging.getLogger(__name__)

# A replica's start is looked for this often.
LOOK_EVERY_S = 0.1
# What had not begun to be answered when its replica died is asked again after these pauses.
PAUSES_S = (0.1, 0.5, 2.0)
REPORT_WITHIN_S = 5.0
DIED = "the replica that held the model ended; please send the request again"
Ask = Add | Score | Embed
Answer = Chunk | Scores | Embeddings


class Deployed:
    """A model on the cluster. For the pool it is the model's health.

    `listener` hears what its replicas do; `on_scale` hears how many replicas' worth of requests
    may be sent from now on.
    """

    is_over = False
    num_restarts = 0

    def __init__(self, wanted: Wanted, handle: Any, first: Report) -> None:
        assert first.loaded is not None
        self.loaded = first.loaded
        self.num_replicas = wanted.scale.min_replicas
        self.listener: ClusterListener | None = None
        self.on_scale: Callable[[int], object] = lambda num_taken: None
        self._wanted = wanted
        self._handle = handle
        self._stats = first.stats
        self._num_open = 0
        self._looking = Turns(self._look)
        self._looking.start()

    @property
    def is_ready(self) -> bool:
        """Whether any replica is there."""
        return self.num_replicas > 0

    @property
    def stats(self) -> EngineStats:
        """Of all replicas, as they were when they last had time to tell."""
        if self._num_open < self._wanted.num_seqs:
            return self._stats
        return replace(self._stats, num_running=self._num_open)

    @property
    def num_taken(self) -> int:
        """Replicas whose places may be filled: one more than there are, so that Ray sees some
        requests wait and starts another."""
        return min(self.num_replicas + 1, self._wanted.scale.max_replicas)

    async def answers(self, command: Ask) -> AsyncGenerator[Answer]:
        """The answers to a command. What has not begun when its replica dies is asked again
        elsewhere; the rest ends with WorkerDied."""
        self._num_open += 1
        try:
            async with aclosing(self._tried(command)) as answers:
                async for answer in answers:
                    yield answer
        finally:
            self._num_open -= 1

    async def close(self) -> None:
        """Take it off the cluster."""
        await self._looking.close()
        if self.listener is not None:
            self.listener.only(())
        await take_off(self._wanted.app, self._handle)

    async def _tried(self, command: Ask) -> AsyncGenerator[Answer]:
        is_begun = False
        for pause_s in (*PAUSES_S, None):
            try:
                async with aclosing(self._once(command)) as answers:
                    async for answer in answers:
                        is_begun = True
                        yield answer
                return
            except WorkerDied:
                if is_begun or pause_s is None:
                    raise
            await asyncio.sleep(pause_s)

    async def _once(self, command: Ask) -> AsyncGenerator[Answer]:
        request = command.request
        left_s = None if request.deadline_s is None else request.deadline_s - time.monotonic()
        timeless = type(command)(replace(request, deadline_s=None))  # type: ignore[arg-type]
        stream = self._handle.options(stream=True).ask.remote(encode(timeless), left_s)
        replica, is_over = "", False
        try:
            while not is_over:
                told = await _next(stream, request.deadline_s)
                replica = self._booked(request.id, replica, told)
                said = told.said
                is_over = is_last(said)
                if isinstance(said, CanteenError):
                    raise said
                yield said
        finally:
            if not is_over:
                stream.cancel()

    def _booked(self, request_id: str, replica: str, told: Told) -> str:
        """Which replica tells, after the listener has heard what it did: the answers come then,
        and with the last of them the request is charged."""
        if self.listener is None:
            return replica
        if told.home is not None:
            replica = told.home.replica
            self.listener.began(request_id, told.home)
        for record in told.records:
            self.listener.step(replica, record)
        return replica

    async def _look(self) -> None:
        """See who is there and what they do."""
        num_replicas = await asyncio.to_thread(_num_running, self._wanted.app)
        if num_replicas != self.num_replicas:
            self.num_replicas = num_replicas
            self.on_scale(self.num_taken)
        # A question to a replica whose places are all taken would wait for one.
        if self._num_open < self._wanted.num_seqs:
            reports = [one for one in await _reports(self._handle) if one.loaded is not None]
            self._stats = _summed([report.stats for report in reports])
            if self.listener is not None:
                self.listener.only([report.home.replica for report in reports])


class RayEngine:
    """An Engine whose model lives on the cluster."""

    def __init__(self, deployed: Deployed) -> None:
        assert deployed.loaded.capabilities is not None
        self._deployed = deployed
        self.name = deployed.loaded.name
        self.capabilities: Capabilities = deployed.loaded.capabilities

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        """Yield the chunks; closing early cancels the sequence in its replica."""
        async with aclosing(self._deployed.answers(Add(request))) as answers:
            async for answer in answers:
                assert isinstance(answer, Chunk)
                yield answer

    async def score(self, request: ScoreRequest) -> Scores:
        """Score; who stops waiting cancels what has not been computed."""
        async with aclosing(self._deployed.answers(Score(request))) as answers:
            answer = await anext(answers)
        assert isinstance(answer, Scores)
        return answer

    async def stats(self) -> EngineStats:
        """Of all replicas, as they were when last looked at."""
        return self._deployed.stats

    async def close(self) -> None:
        """Take the model off the cluster."""
        await self._deployed.close()


class RayEmbedder:
    """An Embedder whose model lives on the cluster."""

    def __init__(self, deployed: Deployed) -> None:
        self._deployed = deployed
        self.name = deployed.loaded.name

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Embed; who stops waiting cancels what has not begun."""
        async with aclosing(self._deployed.answers(Embed(request))) as answers:
            answer = await anext(answers)
        assert isinstance(answer, Embeddings)
        return answer

    async def stats(self) -> EngineStats:
        """Of all replicas, as they were when last looked at."""
        return self._deployed.stats

    async def close(self) -> None:
        """Take the model off the cluster."""
        await self._deployed.close()


async def take_off(app: str, handle: Any) -> None:
    """Have an application taken off the cluster, and its handle, if there is one, let go."""
    await asyncio.to_thread(delete, app)
    if handle is not None:
        # Else its router goes on telling the cluster's controller of it each second.
        await handle.shutdown_async()


def delete(app: str) -> None:
    """Have an application taken off the cluster, if it is there; it may end what it has begun."""
    import ray
    from ray import serve

    if ray.is_initialized():
        serve.delete(app, _blocking=False)


def _num_running(app: str) -> int:
    """How many replicas Ray says there are."""
    from ray import serve

    with _errors():
        told = serve.status().applications.get(app)
    deployments = () if told is None else told.deployments.values()
    return sum(one.replica_states.get("RUNNING", 0) for one in deployments)


async def first_report(handle: Any) -> Report:
    """Of any replica, once the handle knows one."""
    while True:
        if reports := await _reports(handle):
            return reports[0]
        await asyncio.sleep(LOOK_EVERY_S)


async def _reports(handle: Any) -> list[Report]:
    """Of all replicas but those that are just ending; raises EngineError."""
    try:
        with _errors():
            told = await handle.broadcast("report").results_async(
                timeout_s=REPORT_WITHIN_S, return_exceptions=True
            )
    except TimeoutError as exc:
        raise EngineError("the replicas of a model do not tell how they are") from exc
    return [decode_report(one) for one in told if isinstance(one, bytes)]


async def _next(stream: Any, deadline_s: float | None) -> Told:
    """The next piece of an answer; raises DeadlineExceeded and EngineError."""
    try:
        with _errors():
            async with asyncio.timeout_at(deadline_s):
                return decode_told(await anext(stream))
    except TimeoutError:
        raise DeadlineExceeded from None
    except StopAsyncIteration:
        raise WorkerDied(DIED) from None


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Ray's errors as ours: what a replica raised itself is a fault there, and whatever else goes
    wrong is that it, its node or the way to it is gone."""
    from ray.exceptions import RayError, RayTaskError
    from ray.serve.exceptions import RayServeException

    try:
        yield
    except RayTaskError as exc:
        logger.error("a replica failed", exc_info=exc)
        raise EngineError("the replica could not take this request") from exc
    except (RayError, RayServeException) as exc:
        logger.warning("a replica is gone: %s", type(exc).__name__)
        raise WorkerDied(DIED) from exc


def _summed(stats: Sequence[EngineStats]) -> EngineStats:
    """Of all replicas together; the memory is the most that one of them takes."""
    if not stats:
        return EngineStats()
    return EngineStats(
        num_running=sum(one.num_running for one in stats),
        kv_cache_usage=fmean(one.kv_cache_usage for one in stats),
        memory_bytes=max(one.memory_bytes for one in stats),
        num_steps=sum(one.num_steps for one in stats),
    )
