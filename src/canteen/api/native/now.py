"""`GET /v1/now`: how the service goes, as server-sent events; a sample a second, made once for all
who listen, after the last ten minutes."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from canteen.api.errors import problem, status_of
from canteen.api.native.health import STATUSES, is_ready
from canteen.api.routing import Route, Served
from canteen.api.streaming import json_bytes, sse, stream
from canteen.core.errors import CanteenError
from canteen.core.turns import Turns
from canteen.runtime.slot import LoadedModel

if TYPE_CHECKING:
    from canteen.bootstrap import Services

SSE = "text/event-stream"
EVERY_S = 1.0
# While nobody listens, the history is kept in larger steps.
UNHEARD_EVERY_S = 5.0
KEPT_S = 600.0
# A history is told in no more points than a screen shows.
MOST_TOLD = 300


class Quantiles(BaseModel):
    """Seconds, of the answers that ended in the last minute."""

    p50: float
    p95: float


class ModelNow(BaseModel):
    """A model in memory. `kv_cache` is a share of 1, `tokens_per_s` what it wrote since the sample
    before."""

    status: str
    state: str
    running: int
    waiting: int
    oldest_wait_s: float
    tokens_per_s: float
    ttft_s: Quantiles | None
    tpot_s: Quantiles | None
    kv_cache: float
    memory_bytes: int


class Power(BaseModel):
    """Watts since the sample before, as the meter counts them; null where it was not read. Those
    of `boards` are in them, null where no board is counted by itself."""

    meter: float | None
    requests: float | None
    idle: float | None
    boards: float | None


class Sample(BaseModel):
    """How the service is; `at_s` is seconds since 1970. The first event has `samples`, those of the
    last ten minutes, the oldest first, and `meter`: what counts the energy. Each after it is a
    sample by itself. Where the service ends, the stream does."""

    at_s: float
    status: str = Field(description="UP, or DOWN where requests are not welcome.")
    trouble: list[str] = Field(description="What is wrong, in words; empty where all is well.")
    power_w: Power
    models: dict[str, ModelNow]


@dataclass(frozen=True, slots=True)
class _Counts:
    """What a sample is told against; `steady_s` is of a clock that nobody sets."""

    steady_s: float
    written: Counter[str]
    meter_us: int = 0
    energy_uj: Mapping[str, int] | None = None


class Now:
    """The samples of one service; `start` begins to take them, in the running event loop."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._samples: deque[tuple[float, bytes]] = deque()
        self._before = _Counts(time.monotonic(), Counter())
        self._num_listeners = 0
        self._sampling = asyncio.Lock()
        self._next: asyncio.Future[bytes] | None = None
        self._turns = Turns(self._turn, EVERY_S)

    @classmethod
    def of(cls, request: Request) -> "Now":
        """That of the service that got a request."""
        now: Now = request.app.now
        return now

    def start(self) -> None:
        """Begin."""
        self._turns.start()

    async def close(self) -> None:
        """Take no more."""
        await self._turns.close()

    async def follow(self) -> AsyncGenerator[bytes]:
        """The history, and what comes, until the service ends; JSON."""
        self._num_listeners += 1
        try:
            await self._sample_after(EVERY_S)
            yield self._history()
            while not self._services.is_draining:
                yield await asyncio.shield(self._coming())
        finally:
            self._num_listeners -= 1

    async def sample(self) -> None:
        """Take a sample, and tell all who wait for one."""
        services = self._services
        services.accounting.book()
        loaded = await services.loaded()
        made, self._before = _sample(services, loaded, self._before)
        told = json_bytes(made)
        self._samples.append((self._before.steady_s, told))
        while self._before.steady_s - self._samples[0][0] > KEPT_S:
            self._samples.popleft()
        coming, self._next = self._next, None
        if coming is not None and not coming.done():
            coming.set_result(told)

    async def _turn(self) -> None:
        every_s = EVERY_S if self._num_listeners else UNHEARD_EVERY_S
        # A turn that comes a little early is no reason to wait for another.
        await self._sample_after(every_s - EVERY_S / 2)

    async def _sample_after(self, least_s: float) -> None:
        """Take a sample, if the last one is so old: a rate over less time would be mostly noise."""
        async with self._sampling:
            if not self._samples or time.monotonic() - self._before.steady_s >= least_s:
                await self.sample()

    def _coming(self) -> "asyncio.Future[bytes]":
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        return self._next

    def _history(self) -> bytes:
        step = max(1, -(-len(self._samples) // MOST_TOLD))
        newest_first = list(self._samples)[::-1][::step]
        meter = self._services.accounting.terms()
        told = json_bytes(
            {"source": meter.source, "boundary": meter.boundary, "grade": meter.grade}
        )
        samples = b",".join(sample for _, sample in newest_first[::-1])
        return b'{"meter":' + told + b',"samples":[' + samples + b"]}"


async def now(served: Served) -> Response:
    """The last ten minutes, then a sample each second."""
    coming = Now.of(served.request).follow()

    async def frames() -> AsyncGenerator[bytes]:
        async with aclosing(coming):
            async for event in coming:
                yield sse(event)

    return await stream(frames(), SSE, _last_words)


def _sample(
    services: "Services", loaded: list[LoadedModel], before: _Counts
) -> tuple[dict[str, Any], _Counts]:
    accounts = services.accounting.node.accounts()
    recent = services.metrics.recent
    energy_uj: dict[str, int] = {"meter": accounts.meter_uj, "boards": accounts.boards_uj}
    energy_uj.update({str(name): uj for name, uj in accounts.energy_uj.items()})
    written = recent.written()
    now_s = time.monotonic()
    passed_s = max(now_s - before.steady_s, 1e-3)
    speeds = {
        one.card.name: round((written[one.card.name] - before.written[one.card.name]) / passed_s, 2)
        for one in loaded
    }
    made: dict[str, Any] = {
        "at_s": round(time.time(), 3),
        "status": "UP" if is_ready(services, loaded) else "DOWN",
        "trouble": _trouble(services, loaded),
        "power_w": _power(energy_uj, before.energy_uj, accounts.meter_us - before.meter_us),
        "models": {
            one.card.name: _model(one)
            | {"tokens_per_s": speeds[one.card.name]}
            | recent.latencies(one.card.name)
            for one in loaded
        },
    }
    return made, _Counts(now_s, written, accounts.meter_us, energy_uj)


def _model(one: LoadedModel) -> dict[str, Any]:
    return {
        "status": STATUSES[one.state],
        "state": one.state,
        "running": one.num_running,
        "waiting": one.num_waiting,
        "oldest_wait_s": round(one.oldest_wait_s, 3),
        "kv_cache": round(one.kv_cache_usage, 5),
        "memory_bytes": one.memory_bytes,
    }


def _power(
    now_uj: Mapping[str, int], before_uj: Mapping[str, int] | None, passed_us: int
) -> dict[str, float | None]:
    """Microjoules over microseconds are watts."""
    names = ("meter", "requests", "idle", "boards")
    watts: dict[str, float | None] = dict.fromkeys(names)
    if before_uj is None or passed_us <= 0:
        return watts
    for name in names:
        watts[name] = round((now_uj[name] - before_uj[name]) / passed_us, 3)
    return watts if now_uj["boards"] else watts | {"boards": None}


def _trouble(services: "Services", loaded: list[LoadedModel]) -> list[str]:
    down = [one.card.name for one in loaded if STATUSES[one.state] == "DOWN"]
    told = [f"{name} is down, and is started again by itself" for name in down]
    if services.is_draining:
        told.append("the service is shutting down")
    if services.ledger.trouble:
        told.append("receipts cannot be written; the log of the service says why")
    return told


def _last_words(error: CanteenError) -> bytes:
    return sse(json_bytes({"error": problem(error, status_of(error))}), "error")


ROUTES = (
    Route("GET", "/v1/now", now, None, Sample, "How it goes, live", SSE, scope="llm:footprint"),
)
