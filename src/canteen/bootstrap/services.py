"""The services behind every door, wired from the rooms."""

import logging
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import Any, TypeVar

from canteen.bootstrap.books import accounting
from canteen.bootstrap.cluster import Clustered
from canteen.bootstrap.deferred import DeferredRooms, deferred
from canteen.bootstrap.jobs import jobs
from canteen.bootstrap.keys import limiter, ring
from canteen.bootstrap.running import KV_TYPES, chosen, options
from canteen.bootstrap.upstreams import Upstreams
from canteen.core.classifier import Classifier
from canteen.core.engine import Embedder, Engine
from canteen.core.errors import InvalidRequest
from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    Embeddings,
    GenerationRequest,
    Request,
    SamplingParams,
    ScoreRequest,
    Scores,
)
from canteen.core.model import Kind, ModelCard, Progress, capabilities, full_name
from canteen.core.moments import now
from canteen.core.version import VERSION
from canteen.engines import environment, registry
from canteen.engines.process import Worker, WorkerEmbedder, WorkerEngine
from canteen.engines.ray_cluster import Cluster
from canteen.factors.hardware import Device
from canteen.lifecycle.jobs.runner import Jobs
from canteen.metering.accounting import Accounting
from canteen.metering.attribution import StepCost
from canteen.metering.keys.limiter import Limiter
from canteen.metering.keys.ring import KeyRing
from canteen.metering.ledger import Ledger
from canteen.metering.metrics import Metrics
from canteen.metering.till import Order, Till
from canteen.planning import calibration, hosts, memory, roofline
from canteen.planning.memory import Sequences
from canteen.planning.plan import plan
from canteen.planning.reading import reading
from canteen.planning.request import PlanRequest
from canteen.planning.result import Here, Plan
from canteen.planning.roofline import Constants
from canteen.planning.subject import has_shape, of_card, of_config, of_name
from canteen.planning.this_host import hourly_price, processor, this_host
from canteen.runtime import adapters, classifiers
from canteen.runtime.adapters import base_of
from canteen.runtime.admission import Limited, LimitedEmbedder
from canteen.runtime.budget import Budget
from canteen.runtime.catalog import Catalog
from canteen.runtime.classifiers import ClassifierStore
from canteen.runtime.fallback import Ask, answered, one
from canteen.runtime.figures import Figures
from canteen.runtime.gate import Gate, Limits
from canteen.runtime.memory import GB, budget_bytes, machine_bytes
from canteen.runtime.pool import Pool
from canteen.runtime.prompts import PromptStore
from canteen.runtime.pull import USUAL, Form, Puller
from canteen.runtime.remote import groups_of, members_of
from canteen.runtime.slot import Health, LoadedModel, Served, Slot
from canteen.settings import Settings
from canteen.tasks import fitting
from canteen.tasks.fitting import FitRequest
from canteen.tasks.generate import generate
from canteen.tasks.indexes import Indexes
from canteen.tasks.library import Library
from canteen.tasks.model import Model

logger = logging.getLogger(__name__)

T = TypeVar("T")
Asks = TypeVar("Asks", GenerationRequest, ScoreRequest)
DOES: Mapping[Kind, str] = {
    "generator": "generates",
    "embedder": "embeds",
    "reranker": "ranks texts by a query",
}


@dataclass(slots=True)
class Services:
    """What a door (HTTP, shell, Python) can ask for.

    `waiting` has the ids of the requests that wait for their model to load or for their turn.
    """

    settings: Settings
    catalog: Catalog
    pool: Pool
    puller: Puller
    prompts: PromptStore
    classifiers: ClassifierStore
    library: Library
    metrics: Metrics
    accounting: Accounting
    upstreams: Upstreams
    waiting: set[str]
    cluster: Cluster | None = None
    version: str = VERSION
    started_s: float = field(default_factory=time.time)
    is_draining: bool = False
    is_warm: bool = False
    jobs: Jobs = field(init=False)
    keys: KeyRing = field(init=False)
    limiter: Limiter = field(init=False)
    deferred: DeferredRooms = field(init=False)

    def __post_init__(self) -> None:
        self.jobs = jobs(self)
        self.keys = ring(self)
        self.limiter = limiter(self)
        self.deferred = deferred(self)

    @property
    def till(self) -> Till:
        """Where the receipts are made out; by who asks with a `receipt_id`."""
        return self.accounting.till

    @property
    def ledger(self) -> Ledger:
        """Where the receipts are kept."""
        return self.accounting.ledger

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        """Answer a request with the model it names, which is loaded if need be.

        Raises InvalidRequest, Overloaded or EngineError, before or between chunks.
        """
        request = self._bounded(request)
        asked = self._asked(request, "generator", partial(self._generate, request))
        async with aclosing(asked) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _generate(self, request: GenerationRequest, card: ModelCard) -> AsyncGenerator[Chunk]:
        async with (
            self._using(request, card) as (engine, load_s),
            aclosing(generate(engine, self._adapted(request, card))) as chunks,
        ):
            async for chunk in chunks:
                self.metrics.recent.wrote(card.name, chunk.num_tokens)
                if chunk.usage is not None:
                    chunk = replace(chunk, usage=replace(chunk.usage, load_s=load_s))
                yield chunk

    async def score(self, request: ScoreRequest) -> Scores:
        """Score continuations with the model the request names."""
        return await one(self._asked(request, "generator", partial(self._score, request)))

    async def _score(self, request: ScoreRequest, card: ModelCard) -> AsyncGenerator[Scores]:
        async with self._using(request, card) as (engine, load_s):
            made: Scores = await engine.score(self._adapted(request, card))
        yield replace(made, usage=replace(made.usage, load_s=load_s))

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Embed texts with the model the request names."""
        return await one(self._asked(request, _kind_of(request), partial(self._embed, request)))

    async def _embed(
        self, request: EmbeddingRequest, card: ModelCard
    ) -> AsyncGenerator[Embeddings]:
        async with self._using(request, card) as (embedder, load_s):
            made: Embeddings = await embedder.embed(request)
        yield replace(made, usage=replace(made.usage, load_s=load_s))

    async def context_length(self, model: str) -> int:
        """Tokens that prompt and completion of a model may have together, which is loaded."""
        card = self._card(model, "generator")
        if card.upstream or card.members:
            return card.context_length
        async with self._slot(card) as slot:
            engine: Any = slot.served
            return int(engine.capabilities.context_length)

    def digest(self, model: str) -> str:
        """What a model's weights are."""
        return self.catalog.get(model).weights_digest

    def classifier(self, name: str) -> Classifier:
        """A classifier that was fitted here; raises ClassifierNotFound."""
        return self.classifiers.get(name)

    async def fit(self, model: Model, name: str, request: FitRequest) -> Classifier:
        """Fit a classifier to examples, and keep it under its name."""
        classifiers.checked(name)
        learned = await fitting.fit(model, name, request, _learn)
        made = replace(learned, digest=self.digest(learned.model), created_at=now("seconds"))
        self.classifiers.put(made)
        return made

    async def load(self, model: str, keep_alive_s: float | None = None) -> float:
        """Load a model; the seconds it took, about 0 when it was there."""
        started_s = time.monotonic()
        for card in self._members(self.catalog.get(model)):
            async with self._slot(card, keep_alive_s):
                pass
        return time.monotonic() - started_s

    async def warm_up(self) -> None:
        """Load the default model, where there is one, and let it make something small. Nothing is
        sent to an upstream that nobody asked."""
        model = self.settings.default_model
        cards = {card.name: card for card in self.catalog.list()}
        card = cards.get(full_name(model))
        if card is None:
            logger.warning("%s", self.catalog.lack(model))
        elif card.upstream or card.members:
            pass
        elif card.kind != "generator":
            query = "Hello" if card.kind == "reranker" else None
            await self.embed(EmbeddingRequest("warm-up", model, ("Hello",), query=query))
        else:
            sampling = SamplingParams(max_tokens=1)
            request = GenerationRequest("warm-up", model, prompt="Hello", sampling=sampling)
            async for _ in self.generate(request):
                pass
        self.is_warm = True

    async def unload(self, model: str) -> None:
        """Take a model out of memory; where it is an adapter, the model that it goes on."""
        for card in self._members(self.catalog.get(model)):
            await self.pool.unload(base_of(self.catalog, card) if card.adapter else card)

    def planned_bytes(self, card: ModelCard) -> int:
        """The planned memory of a model's worker just after loading; 0 where none is planned."""
        engine = memory.ENGINES.get(card.engine)
        return 0 if engine is None else memory.at_load(engine, card.size_bytes)

    async def loaded(self) -> list[LoadedModel]:
        """The models in memory."""
        return await self.pool.loaded()

    async def capabilities(self, model: str) -> tuple[str, ...]:
        """What a model can do, in Ollama's words."""
        return capabilities(self.catalog.get(model))

    def plan(self, request: PlanRequest, config: Mapping[str, Any] | None = None) -> Plan:
        """What a model takes, on this machine where the request names no other; `config` is a
        config.json in place of a name. Raises InvalidRequest. Takes tens of milliseconds."""
        if config is None:
            subject = of_name(request.model, {card.name: card for card in self.catalog.list()})
        else:
            subject = of_config(config, "the config that was sent")
        told = self.settings
        device, constants = _host(told)
        here = Here(
            device,
            told.region,
            told.provider,
            hourly_price(told.price_usd_per_h, told.instance, told.region),
            constants,
        )
        return plan(request, subject, here, date.today())

    def pull(
        self,
        what: str,
        name: str | None = None,
        *,
        over_http: bool = False,
        form: Form = USUAL,
    ) -> AsyncGenerator[Progress]:
        """Bring a model of the menu, or from a source, into the store, as `name` if given."""
        return self.puller.pull(what, name, over_http=over_http, form=form)

    def pull_adapter(self, what: str, name: str, base: str) -> AsyncGenerator[Progress]:
        """Bring a LoRA adapter of a model of the store into it, as a model of its own."""
        form, card = adapters.wanted(self.catalog, base, name)
        return self.puller.pull(what, name, card=card, form=form)

    async def close(self) -> None:
        """End every worker and job, and write everything down."""
        await self.jobs.close()
        await self.pool.close()
        await self.upstreams.close()
        if self.cluster is not None:
            await self.cluster.close()
        self.limiter.close()
        await self.accounting.close()

    def _asked(self, request: Request, kind: Kind, ask: Ask[T]) -> AsyncGenerator[T]:
        """The answer of the model that a request names, or of one of its chain or pool."""
        card = self._card(request.model, kind)
        if not card.upstream and not card.members:
            return ask(card)
        balance = self.upstreams.balance
        groups = groups_of(self.catalog, card)
        ordered = [one for group in groups for one in balance.ordered(group, request)]
        cards = [chosen(self.settings, self.catalog, one) for one in ordered]
        if isinstance(request, ScoreRequest):
            # No upstream can, so nobody is asked in vain.
            cards = [one for one in cards if not one.upstream] or cards
        return answered(cards, balance.counted(ask), request.deadline_s)

    @asynccontextmanager
    async def _using(self, request: Request, card: ModelCard) -> AsyncIterator[tuple[Any, float]]:
        """What runs a model, loaded, and the seconds that took."""
        self._order(request, card)
        started_s = time.monotonic()
        async with (
            self._waiting(request.id),
            self._slot(card, request.keep_alive_s, request.deadline_s) as slot,
        ):
            self.metrics.recent.runs(card.name, slot.card.name)
            yield slot.served, time.monotonic() - started_s

    def _slot(
        self, card: ModelCard, keep_alive_s: float | None = None, deadline_s: float | None = None
    ) -> AbstractAsyncContextManager[Slot]:
        """What runs a model, for the time of a block; all adapters of a model, and itself, are run
        by the same."""
        runs = base_of(self.catalog, card) if card.adapter else card
        rank = card.adapter.get("rank", 0)
        return self.pool.use(runs, keep_alive_s, deadline_s, adapter_rank=rank)

    def _adapted(self, request: Asks, card: ModelCard) -> Asks:
        """The request with the adapter that a model is."""
        if not card.adapter:
            return request
        return replace(request, adapter=str(self.catalog.path(card)))

    def _order(self, request: Request, card: ModelCard) -> None:
        """Open the bill, where somebody wants a receipt."""
        if not request.receipt_id:
            return
        order = Order(
            model=card.name,
            digest=card.weights_digest,
            engine=card.engine,
            caller_id=request.caller_id,
            conversation_id=request.conversation_id,
            operation=request.operation,
            prompt_version=request.prompt_version,
            asked=self._chain(request.model, card),
            writes=card.kind == "generator",
        )
        self.till.open(request.receipt_id, order)

    def _chain(self, model: str, card: ModelCard) -> str:
        """The chain or pool that was asked, where a card is one of it; else nothing."""
        name = full_name(model)
        return name if name != card.name else ""

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

    def _card(self, model: str, kind: Kind) -> ModelCard:
        card = self.catalog.get(model)
        if card.kind != kind:
            raise InvalidRequest(
                f"model '{model}' is one that {DOES[card.kind]}, and not one that {DOES[kind]}; "
                "choose another",
                param="model",
            )
        return chosen(self.settings, self.catalog, card)

    def _members(self, card: ModelCard) -> list[ModelCard]:
        """What a model, or a chain, is run by."""
        members = members_of(self.catalog, card)
        return [chosen(self.settings, self.catalog, one) for one in members]


def _kind_of(request: EmbeddingRequest) -> Kind:
    """What kind of model answers it."""
    return "embedder" if request.query is None else "reranker"


def _learn(method: str, rows: Sequence[Sequence[float]], gold: Sequence[int]) -> fitting.Learned:
    # It brings numpy, which nobody else here needs.
    from canteen.lifecycle import classifiers as learning

    return (learning.head if method == "head" else learning.calibrate)(rows, gold)


def build(settings: Settings) -> Services:
    """Wire everything; nothing is loaded and nothing is started yet."""
    catalog = Catalog(settings.home)
    figures = Figures(settings.home / "measured.json", settings.kv_cache_gb * GB)
    metrics = Metrics()
    waiting: set[str] = set()
    limits = Limits(settings.max_queue, settings.max_queue_tokens, settings.max_queue_s)
    host, constants = _host(settings)
    books = accounting(settings, host)

    def gate(capacity: int) -> Gate:
        return Gate(capacity, limits, waiting.discard)

    upstreams = Upstreams(books, metrics, gate, settings.max_num_seqs)
    clustered = Clustered(settings, books, gate, figures.memory_bytes) if settings.ray else None

    async def create(card: ModelCard) -> tuple[Served, Health]:
        books.start()
        if card.upstream:
            return await upstreams.made(card)
        logger.info("a model is loaded", extra={"model": card.name, "engine": card.engine})
        told, cost = options(settings, catalog, card), _step_cost(card, host, constants)
        if clustered is not None:
            return await clustered.made(card, told, cost)
        program = environment.program(card.engine, settings.home)
        worker = Worker(card.engine, told, books.node.consumer(cost), program=program)
        loaded = await worker.start()
        if registry.is_embedder(card.engine):
            embedder: Embedder = books.metered_embedder(WorkerEmbedder(worker, loaded))
            return LimitedEmbedder(embedder, gate(1)), worker
        engine: Engine = books.metered(WorkerEngine(worker, loaded))
        return Limited(engine, gate(engine.capabilities.max_num_seqs)), worker

    return Services(
        settings=settings,
        catalog=catalog,
        pool=Pool(
            create,
            Budget(_budget_bytes(settings), figures, partial(_memory_told, figures)),
            keep_alive_s=settings.keep_alive_s,
            # As many as the gate of the loaded model has places for, to run and to wait.
            max_waiting=settings.max_num_seqs + settings.max_queue,
            tell=lambda event: metrics.count_event(event.model, event.what, event.before),
        ),
        puller=Puller(catalog, watch=books.helper, engine=settings.engine),
        prompts=PromptStore(settings.home),
        classifiers=ClassifierStore(settings.home),
        library=Library(Indexes(settings.home / "indexes"), catalog.get, settings.default_embedder),
        metrics=metrics,
        accounting=books,
        upstreams=upstreams,
        waiting=waiting,
        cluster=clustered.cluster if clustered is not None else None,
    )


def _budget_bytes(settings: Settings) -> int:
    """What the models may take together; on a cluster, its nodes' memory is Ray's to give."""
    return sys.maxsize if settings.ray else budget_bytes(settings.memory_gb)


def _memory_told(figures: Figures, card: ModelCard) -> str:
    """How a model comes to the memory that it counts for, and what is planned for one sequence as
    long as it may be, where its shape is known."""
    if not card.size_bytes:
        return ""
    told = figures.told(card)
    if card.engine not in KV_TYPES or not has_shape(card):
        return told
    context = Sequences(card.context_length, kv_type=KV_TYPES[card.engine])
    subject = of_card(card)
    weights = subject.weights_in(None)
    held = memory.plan_memory(subject.spec, weights, context, memory.ENGINES[card.engine])
    return f"{told}. Planned with one whole context: {'; '.join(memory.arithmetic(held))}"


def _host(settings: Settings) -> tuple[Device, Constants | None]:
    """This machine, as it was calibrated, or as it is assumed to be."""
    told = calibration.load(settings.home / calibration.FILE)
    return calibration.applied(this_host(machine_bytes(), processor()), told)


def _step_cost(card: ModelCard, host: Device, constants: Constants | None) -> StepCost:
    """What decides how requests share a step; where the shape is unknown, tokens are equal."""
    if not has_shape(card):
        return StepCost()
    subject = of_card(card)
    form = subject.format(None)
    steps = reading(subject.spec, form, "bf16")
    constants = constants or roofline.prior(host.name, has_experts=False)
    runs = hosts.host(host, 1, form.compute, constants)
    bytes_per_s = (runs.bandwidth * runs.constants.bandwidth_share).to("B/s").central
    flops_per_s = (runs.peak * runs.constants.flops_share).to("FLOP/s").central
    return StepCost(
        fixed_s=runs.constants.step_s.central + steps.shared_bytes / bytes_per_s,
        token_s=2 * steps.num_active_parameters / flops_per_s,
        attention_s=sum(one.flops_per_pair for one in steps.attention) / flops_per_s,
        cache_s=sum(one.kv_bytes_per_token for one in steps.attention) / bytes_per_s,
    )
