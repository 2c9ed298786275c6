"""The only file that knows every class: wires the rooms into the services behind every door."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from canteen.core.engine import Embedder, Engine
from canteen.core.errors import InvalidRequest
from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    Embeddings,
    GenerationRequest,
    SamplingParams,
)
from canteen.core.model import ModelCard, Progress, full_name
from canteen.core.version import VERSION
from canteen.engines import registry
from canteen.engines.process import Worker, WorkerEmbedder, WorkerEngine
from canteen.metering.metrics import Metrics
from canteen.runtime.admission import Limited, LimitedEmbedder
from canteen.runtime.budget import Budget
from canteen.runtime.catalog import Catalog
from canteen.runtime.figures import Figures
from canteen.runtime.gate import Gate, Limits
from canteen.runtime.memory import GB, budget_bytes
from canteen.runtime.pool import Pool
from canteen.runtime.pull import Puller
from canteen.runtime.slot import Health, LoadedModel, Served
from canteen.settings import Settings
from canteen.tasks.generate import generate


@dataclass(slots=True)
class Services:
    """What a door (HTTP, shell, Python) can ask for.

    `waiting` has the ids of the requests that wait for their model to load or for their turn.
    """

    settings: Settings
    catalog: Catalog
    pool: Pool
    puller: Puller
    metrics: Metrics
    waiting: set[str]
    version: str = VERSION
    started_s: float = field(default_factory=time.time)
    is_draining: bool = False
    is_warm: bool = False

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        """Answer a request with the model it names, which is loaded if need be.

        Raises InvalidRequest, Overloaded or EngineError, before or between chunks.
        """
        card = self._card(request.model, "generator")
        request = self._bounded(request)
        started_s = time.monotonic()
        async with (
            self._waiting(request.id),
            self.pool.use(card, request.keep_alive_s, request.deadline_s) as slot,
        ):
            load_s = time.monotonic() - started_s
            engine: Any = slot.served
            async with aclosing(generate(engine, request)) as chunks:
                async for chunk in chunks:
                    if chunk.usage is not None:
                        chunk = replace(chunk, usage=replace(chunk.usage, load_s=load_s))
                    yield chunk

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Embed texts with the model the request names."""
        card = self._card(request.model, "embedder")
        started_s = time.monotonic()
        async with (
            self._waiting(request.id),
            self.pool.use(card, request.keep_alive_s, request.deadline_s) as slot,
        ):
            load_s = time.monotonic() - started_s
            embedder: Any = slot.served
            made: Embeddings = await embedder.embed(request)
        return replace(made, usage=replace(made.usage, load_s=load_s))

    async def load(self, model: str, keep_alive_s: float | None = None) -> float:
        """Load a model; the seconds it took, about 0 when it was there."""
        started_s = time.monotonic()
        async with self.pool.use(self.catalog.get(model), keep_alive_s):
            return time.monotonic() - started_s

    async def warm_up(self) -> None:
        """Load the default model, where there is one, and let it make something small."""
        model = self.settings.default_model
        cards = {card.name: card for card in self.catalog.list()}
        card = cards.get(full_name(model))
        if card is not None and card.kind == "embedder":
            await self.embed(EmbeddingRequest("warm-up", model, ("Hello",)))
        elif card is not None:
            sampling = SamplingParams(max_tokens=1)
            request = GenerationRequest("warm-up", model, prompt="Hello", sampling=sampling)
            async for _ in self.generate(request):
                pass
        self.is_warm = True

    async def unload(self, model: str) -> None:
        """Take a model out of memory."""
        await self.pool.unload(self.catalog.get(model))

    async def loaded(self) -> list[LoadedModel]:
        """The models in memory."""
        return await self.pool.loaded()

    async def capabilities(self, model: str) -> tuple[str, ...]:
        """What a model can do, in Ollama's words."""
        card = self.catalog.get(model)
        if card.kind == "embedder":
            return ("embedding",)
        has_tools = card.engine == "echo" or "tools" in card.template
        return ("completion", "tools") if has_tools else ("completion",)

    def pull(
        self, what: str, name: str | None = None, *, over_http: bool = False
    ) -> AsyncGenerator[Progress]:
        """Bring a model of the menu, or from a source, into the store, as `name` if given."""
        return self.puller.pull(what, name, over_http=over_http)

    async def close(self) -> None:
        """End every worker."""
        await self.pool.close()

    @asynccontextmanager
    async def _waiting(self, request_id: str) -> AsyncIterator[None]:
        """Until the gate lets the request in, or it ends before."""
        self.waiting.add(request_id)
        try:
            yield
        finally:
            self.waiting.discard(request_id)

    def _bounded(self, request: GenerationRequest) -> GenerationRequest:
        """A small model may never come to an end by itself."""
        limit = self.settings.max_tokens
        if request.sampling.max_tokens is not None or not limit:
            return request
        return replace(request, sampling=replace(request.sampling, max_tokens=limit))

    def _card(self, model: str, kind: str) -> ModelCard:
        card = self.catalog.get(model)
        if card.kind != kind:
            can = "embeds and does not generate" if kind == "generator" else "does not embed"
            raise InvalidRequest(f"model '{model}' {can}; choose another", param="model")
        return card


def build(settings: Settings) -> Services:
    """Wire everything; nothing is loaded and nothing is started yet."""
    catalog = Catalog(settings.home)
    figures = Figures(settings.home / "measured.json", settings.kv_cache_gb * GB)
    metrics = Metrics()
    waiting: set[str] = set()
    limits = Limits(settings.max_queue, settings.max_queue_tokens, settings.max_queue_s)

    async def create(card: ModelCard) -> tuple[Served, Health]:
        worker = Worker(card.engine, _options(settings, catalog, card))
        loaded = await worker.start()
        if registry.is_embedder(card.engine):
            embedder: Embedder = WorkerEmbedder(worker, loaded)
            return LimitedEmbedder(embedder, Gate(1, limits, waiting.discard)), worker
        engine: Engine = WorkerEngine(worker, loaded)
        gate = Gate(engine.capabilities.max_num_seqs, limits, waiting.discard)
        return Limited(engine, gate), worker

    return Services(
        settings=settings,
        catalog=catalog,
        pool=Pool(
            create,
            Budget(budget_bytes(settings.memory_gb), figures),
            keep_alive_s=settings.keep_alive_s,
            # As many as the gate of the loaded model has places for, to run and to wait.
            max_waiting=settings.max_num_seqs + settings.max_queue,
            tell=lambda event: metrics.count_event(event.model, event.what, event.before),
        ),
        puller=Puller(catalog),
        metrics=metrics,
        waiting=waiting,
    )


def _options(settings: Settings, catalog: Catalog, card: ModelCard) -> dict[str, Any]:
    """An engine's keyword arguments."""
    if card.engine == "echo-embedder":
        return {}
    if card.engine == "echo":
        known = ("tokens_per_s", "prefill_tokens_per_s", "context_length")
        speeds = {key: card.parameters[key] for key in known if key in card.parameters}
        return {"max_num_seqs": settings.max_num_seqs, **speeds}
    options = {"folder": str(catalog.path(card)), "num_threads": settings.num_threads}
    if card.engine == "openvino":
        options |= {
            "max_num_seqs": settings.max_num_seqs,
            "kv_cache_gb": settings.kv_cache_gb,
            "max_batched_tokens": settings.max_batched_tokens,
        }
    return options
