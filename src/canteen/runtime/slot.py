"""One model of the pool, from its place in the line for memory to the end of its worker."""

import asyncio
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol, runtime_checkable

from canteen.core.engine import EngineStats
from canteen.core.model import ModelCard
from canteen.runtime.admission import Limited, LimitedEmbedder
from canteen.runtime.gate import Gate
from canteen.runtime.guarded import Circuit

# A model stays for so many times what loading it took, so that at most a sixth of the time
# goes into loading, however models are asked for; within these bounds.
STAY_PER_LOAD = 5.0
SHORTEST_STAY_S = 1.0
LONGEST_STAY_S = 30.0

Served = Limited | LimitedEmbedder
State = Literal["waiting", "loading", "ready", "asleep", "restarting", "circuit_open", "unloading"]


class Health(Protocol):
    """What the pool may ask of whatever runs a model."""

    @property
    def is_ready(self) -> bool: ...

    @property
    def is_over(self) -> bool: ...

    @property
    def num_restarts(self) -> int: ...


@runtime_checkable
class Sleeper(Health, Protocol):
    """The health of what may be able to give its device free, and keep its weights in memory."""

    @property
    def sleeps(self) -> bool: ...

    async def rest(self, *, is_asleep: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory or on its way there, as `ps` shows it.

    `memory_bytes` is resident now and `load_bytes` was so just after loading, 0 while that is not
    known; `counted_bytes` is what it counts for against the budget, its highest measured figure
    or an estimate. `expires_at` is None while it is kept for ever, `loaded_at` and `last_used_at`
    before it is loaded. `circuit` is the state of an upstream's circuit breaker, else empty.
    """

    card: ModelCard
    state: State
    memory_bytes: int
    load_bytes: int
    counted_bytes: int
    is_measured: bool
    context_length: int
    loaded_at: datetime | None
    last_used_at: datetime | None
    expires_at: datetime | None
    num_running: int
    num_waiting: int
    oldest_wait_s: float
    kv_cache_usage: float
    num_restarts: int
    circuit: str = ""


@dataclass(slots=True, eq=False)
class Slot:
    """One model; times are of the event loop's clock, which is `time.monotonic`.

    `turn` is done once there is memory for it, `loading` once it is loaded. `is_promised`: a
    caller was told when to come back for it. `room_s`: when there may be memory for it. `resting`
    is its falling asleep, done or not, until it is woken.
    """

    card: ModelCard
    keep_alive_s: float
    arrived_s: float
    turn: "asyncio.Future[None]"
    loading: "asyncio.Task[tuple[Served, Health]]" = field(init=False)
    closing: "asyncio.Task[None] | None" = None
    resting: "asyncio.Task[None] | None" = None
    is_waking: bool = False
    timer: asyncio.TimerHandle | None = None
    num_users: int = 0
    num_restarts: int = 0
    is_promised: bool = False
    room_s: float = 0.0
    started_s: float = 0.0
    ready_s: float = math.inf
    used_s: float = 0.0
    measured_s: float = -math.inf
    load_bytes: int = 0

    @property
    def key(self) -> str:
        """The weights, which several names may share."""
        return weights(self.card)

    @property
    def is_in_memory(self) -> bool:
        """Whether it has its share of the memory."""
        return self.turn.done() and not self.turn.cancelled() and not self.is_over

    @property
    def is_loaded(self) -> bool:
        """Whether loading has ended well."""
        return self.loading.done() and not self.loading.cancelled() and not self.loading.exception()

    @property
    def is_over(self) -> bool:
        """Whether loading has failed, or what ran the model has given up for good."""
        return self.loading.done() and (not self.is_loaded or self.health.is_over)

    @property
    def served(self) -> Served:
        """What runs the model; only once it is loaded."""
        return self.loading.result()[0]

    @property
    def health(self) -> Health:
        """How that is; only once it is loaded."""
        return self.loading.result()[1]

    @property
    def sleeper(self) -> Sleeper | None:
        """The same where it can sleep; only once it is loaded."""
        health = self.health
        return health if isinstance(health, Sleeper) and health.sleeps else None

    @property
    def gate(self) -> Gate:
        """The queue before it."""
        return self.served.gate

    @property
    def adapter_rank(self) -> float:
        """The rank of adapters that it was loaded with room for; while it is being loaded, and so
        reads what there is, any."""
        if not self.is_loaded or isinstance(self.served, LimitedEmbedder):
            return math.inf
        return self.served.capabilities.adapter_rank

    @property
    def load_s(self) -> float:
        """Seconds that loading took, or waking."""
        return self.ready_s - self.started_s

    def stays_until_s(self, waiting: "Slot") -> float:
        """Until when it is left in memory by a model that waits for its room.

        It has a time to be of use after it was loaded and after each use; but uses after the
        other had come do not prolong it, so that nobody waits for ever.
        """
        stay_s = min(max(STAY_PER_LOAD * self.load_s, SHORTEST_STAY_S), LONGEST_STAY_S)
        return max(self.ready_s, min(self.used_s, waiting.arrived_s)) + stay_s


def weights(card: ModelCard) -> str:
    """What names of the same model have in common. One without files is what its card says, so
    that a name which holds another model from now on is another."""
    return card.folder or f"{card.name} {card.digest} {sorted(card.parameters.items())}"


def describe(
    slot: Slot, stats: EngineStats, counted_bytes: int, *, is_leaving: bool, is_measured: bool
) -> LoadedModel:
    """A model as `ps` shows it."""
    is_loaded = slot.is_loaded
    return LoadedModel(
        card=slot.card,
        state=_state(slot, is_leaving=is_leaving),
        memory_bytes=stats.memory_bytes,
        load_bytes=slot.load_bytes,
        counted_bytes=counted_bytes,
        is_measured=is_measured,
        context_length=slot.card.context_length,
        loaded_at=_when(slot.ready_s) if is_loaded else None,
        last_used_at=_when(slot.used_s) if is_loaded else None,
        expires_at=_expires_at(slot),
        num_running=slot.gate.num_running if is_loaded else 0,
        num_waiting=slot.gate.num_waiting if is_loaded else slot.num_users,
        oldest_wait_s=slot.gate.oldest_wait_s if is_loaded else 0.0,
        kv_cache_usage=stats.kv_cache_usage,
        num_restarts=slot.num_restarts,
        circuit=_circuit(slot),
    )


def _circuit(slot: Slot) -> str:
    health = slot.health if slot.is_loaded else None
    return health.breaker.state if isinstance(health, Circuit) else ""


def _state(slot: Slot, *, is_leaving: bool) -> State:
    if is_leaving:
        return "unloading"
    if not slot.is_loaded:
        return "loading" if slot.is_in_memory else "waiting"
    if slot.resting is not None:
        return "asleep"
    if slot.health.is_ready:
        return "ready"
    return "circuit_open" if slot.card.upstream else "restarting"


def _expires_at(slot: Slot) -> datetime | None:
    """When an idle model goes; a busy one is counted from now, and one asleep has no date."""
    if math.isinf(slot.keep_alive_s) or slot.resting is not None:
        return None
    if slot.timer is None:
        return datetime.now(UTC) + timedelta(seconds=slot.keep_alive_s)
    return _when(slot.timer.when())


def _when(moment_s: float) -> datetime:
    """A moment of the event loop's clock as a date."""
    ago_s = asyncio.get_running_loop().time() - moment_s
    return datetime.now(UTC) - timedelta(seconds=ago_s)
