"""The seam: what runs a model, and how a stream becomes a completion."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from canteen.core.errors import CanteenError
from canteen.core.generation import (
    Choice,
    Chunk,
    Completion,
    EmbeddingRequest,
    Embeddings,
    FinishReason,
    GenerationRequest,
    ScoreRequest,
    Scores,
    TokenLogprob,
    ToolCall,
    Usage,
)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine with its loaded model can do; fixed once it is loaded. `native_tools`: it is
    given tools and tells calls by itself, where others find them in a text. A request may name a
    LoRA adapter of up to `adapter_rank`; where that is 0, none. One that `sleeps` can give its
    device free and keep its weights in host memory."""

    context_length: int
    max_num_seqs: int
    grammar: bool = False
    scores: bool = False
    top_logprobs: int = 0
    tools_in_template: bool = False
    chat_template: bool = False
    native_tools: bool = False
    adapter_rank: int = 0
    sleeps: bool = False


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Gauges of a running engine; `kv_cache_usage` is a share of 1, memory is resident bytes,
    `num_steps` the steps since it was loaded."""

    num_running: int = 0
    kv_cache_usage: float = 0.0
    memory_bytes: int = 0
    num_steps: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """What one step gave to one request: a chunk, its scores, or the error that ended it."""

    request_id: str
    chunk: Chunk | None = None
    error: CanteenError | None = None
    scores: Scores | None = None


class Work(NamedTuple):
    """What a step did for one sequence of a request: the tokens it read and wrote after the
    `context_tokens` that were in its cache before."""

    request_id: str
    prefill_tokens: int
    decode_tokens: int
    context_tokens: int


class StepRecord(NamedTuple):
    """What a step took and did. `cpu_s` is all processor time of its process so far. Of a step
    that is told in parts, `work` has some of its requests, `duration_s` is their share, and
    `num_requests` says how many there were."""

    duration_s: float
    cpu_s: float
    work: Sequence[Work]
    num_requests: int = 0


class StepListener(Protocol):
    """Hears what a worker process does, in this order: `loading`, `loaded`, steps, `lost`."""

    def loading(self) -> None:
        """The process was started, and loads its model."""

    def loaded(self, cpu_s: float) -> None:
        """The model is there; `cpu_s` is all processor time of the process so far."""

    def step(self, record: StepRecord) -> None:
        """A step was done; its deltas come after this."""

    def lost(self) -> None:
        """The process has ended, of itself or not."""


class Home(NamedTuple):
    """Where a model runs on another machine: which copy of it, on the node of which name. `cpu_s`
    is what loading it took, and `facts` are what the node tells of its processor."""

    replica: str
    node: str
    cpu_s: float
    facts: Mapping[str, Any]


class ClusterListener(Protocol):
    """Hears what the replicas of a model do on their nodes."""

    def began(self, request_id: str, home: Home) -> None:
        """A replica has taken a request."""

    def step(self, replica: str, record: StepRecord) -> None:
        """It has told of a step for a request that it has taken."""

    def only(self, replicas: Collection[str]) -> None:
        """No others are there any more."""


class Engine(Protocol):
    """Runs one loaded generative model.

    `generate` yields chunks; closing the generator early cancels the request and frees its
    memory. It raises InvalidRequest before the first chunk, EngineError at any time. `score`
    raises the same, and NotSupported where the capabilities have no `scores`.
    """

    name: str

    @property
    def capabilities(self) -> Capabilities: ...

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]: ...

    async def score(self, request: ScoreRequest) -> Scores: ...

    async def stats(self) -> EngineStats: ...

    async def close(self) -> None: ...


class Embedder(Protocol):
    """Runs one loaded embedding model."""

    name: str

    async def embed(self, request: EmbeddingRequest) -> Embeddings: ...

    async def stats(self) -> EngineStats: ...

    async def close(self) -> None: ...


class StepEngine(Protocol):
    """An engine as its worker sees it: synchronous, called from one thread, stepped.

    `add` validates and raises InvalidRequest; after it, `step` gives the deltas of one batch
    step until every request has ended. `cancel` of an unknown id does nothing; a cancelled
    request yields no further delta. An exception out of `step` is an engine fault: the process
    must be restarted. `work` is what the last step did, a row a sequence. A request for scores
    ends with the one delta that has them.
    """

    name: str

    @property
    def capabilities(self) -> Capabilities: ...

    def add(self, request: GenerationRequest | ScoreRequest) -> None: ...

    def cancel(self, request_id: str) -> None: ...

    def has_work(self) -> bool: ...

    def step(self) -> Sequence[Delta]: ...

    def work(self) -> Sequence[Work]: ...

    def stats(self) -> EngineStats: ...


class SelfSteppedEngine(Engine, Protocol):
    """An engine as its worker sees it that steps by itself, in processes of its own; called from
    one event loop.

    `warm_up` is awaited before the first request. `work` is what was computed since it was last
    asked for. One that `is_broken` answers nobody any more: the process must be restarted. `sleep`
    and `wake_up` are awaited only where the capabilities have `sleeps`, and nothing is asked
    between them.
    """

    @property
    def is_broken(self) -> bool: ...

    async def warm_up(self) -> None: ...

    async def sleep(self) -> None: ...

    async def wake_up(self) -> None: ...

    def work(self) -> Sequence[Work]: ...


class BatchEmbedder(Protocol):
    """An embedder as its worker sees it: one synchronous call for all texts of a request, in
    as many steps as they take. `before_step` is called before each; what it raises ends the call.
    """

    name: str

    def embed(
        self, request: EmbeddingRequest, before_step: Callable[[int], object] = ...
    ) -> Embeddings: ...


async def complete(engine: Engine, request: GenerationRequest) -> Completion:
    """Fold a request's stream into its completion."""
    async with aclosing(engine.generate(request)) as chunks:
        return await fold(chunks, request.n)


async def fold(chunks: AsyncIterator[Chunk], n: int = 1) -> Completion:
    """Fold chunks of `n` choices into a completion."""
    building = [_Building() for _ in range(n)]
    usage = Usage()
    async for chunk in chunks:
        building[chunk.index].add(chunk)
        usage = chunk.usage or usage
    return Completion(tuple(choice.built() for choice in building), usage)


class _Building:
    """A choice under construction."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.logprobs: list[TokenLogprob] = []
        self.tool_calls: list[ToolCall] = []
        self.finish_reason: FinishReason = "stop"
        self.stop_sequence = ""

    def add(self, chunk: Chunk) -> None:
        self.text.append(chunk.text)
        self.logprobs += chunk.logprobs
        self.tool_calls += chunk.tool_calls
        self.finish_reason = chunk.finish_reason or self.finish_reason
        self.stop_sequence = chunk.stop_sequence or self.stop_sequence

    def built(self) -> Choice:
        return Choice(
            "".join(self.text),
            self.finish_reason,
            tuple(self.logprobs),
            tuple(self.tool_calls),
            self.stop_sequence,
        )
