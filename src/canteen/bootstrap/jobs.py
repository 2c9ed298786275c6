"""The jobs, given what they need of the rooms that they do not know."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from canteen.core.errors import EngineError, InvalidRequest, StorageFull
from canteen.core.footprint import new_receipt_id
from canteen.core.model import MADE_HERE, ModelCard, Progress
from canteen.core.training_run import TrainingRun
from canteen.core.units import Quantity
from canteen.lifecycle.jobs.book import JobBook
from canteen.lifecycle.jobs.job import Job
from canteen.lifecycle.jobs.runner import Jobs, Kind
from canteen.lifecycle.jobs.training import Chat, Finetuning, FromScratch, Parent, Ports, Tab
from canteen.lifecycle.training.specs import Finetune, Train
from canteen.metering.accounting import Accounting
from canteen.metering.receipt import as_json
from canteen.metering.till import Order
from canteen.planning.job import job_time
from canteen.planning.request import PlanRequest
from canteen.planning.result import Plan
from canteen.planning.training import energy
from canteen.runtime import locks
from canteen.runtime.catalog import Catalog
from canteen.runtime.child import Child, child
from canteen.runtime.pull import Puller
from canteen.settings import Settings
from canteen.tasks import classify

ENGINE = "torch"
_GB = 1e9


class Wired(Protocol):
    """What the jobs use of the services."""

    settings: Settings
    catalog: Catalog
    accounting: Accounting
    puller: Puller

    def plan(self, request: PlanRequest, config: Mapping[str, Any] | None = None) -> Plan:
        """What a model takes."""
        ...

    def digest(self, model: str) -> str:
        """What a model's weights are."""
        ...


def jobs(services: Wired) -> Jobs:
    """The jobs of a store, by their kinds."""
    rooms = _Rooms(services)
    ports = Ports(
        home=services.settings.home,
        source=rooms.source,
        estimate=rooms.estimate,
        program=_program,
        tab=rooms.tab,
        adopt=rooms.adopt,
        digest=services.digest,
        chat=_chat,
    )
    kinds: dict[str, Kind] = {"finetune": Finetuning(ports), "train": FromScratch(ports)}
    book = JobBook(services.accounting.ledger.tables)
    return Jobs(services.settings.home, book, kinds, new_receipt_id, rooms.settled)


class _Rooms:
    """What services do for a job."""

    def __init__(self, services: Wired) -> None:
        self._services = services

    def source(self, model: str) -> Parent:
        """The GGUF file of a model; raises InvalidRequest where it has none."""
        card = self._services.catalog.get(model)
        path = self._services.catalog.blob_path(card.digest)
        if card.kind != "generator" or card.format != "gguf" or not path.is_file():
            raise InvalidRequest(
                f"'{card.name}' cannot be trained on: that starts from a generator's GGUF file, "
                f"and this is {_what(card)}",
                param="model",
            )
        return Parent(path, card.digest, card.context_length)

    def estimate(self, spec: Finetune | Train, run: TrainingRun) -> Mapping[str, Any]:
        """What the planner foresees of the whole job; raises InvalidRequest for what cannot fit."""
        request, config = _planned(spec, run.tokens)
        made = self._services.plan(request, config)
        learning = made.learning
        assert learning is not None
        if learning.fits == "no":
            raise InvalidRequest(_does_not_fit(made), param="batch_size")
        told: dict[str, Any] = {
            "tokens": run.tokens,
            "memory_bytes": learning.memory.total_bytes,
            "memory": _arithmetic(made),
            "device": made.place.name,
        }
        return told | _of_the_whole(made, run)

    def tab(self, job: Job, receipt_id: str, digest: str) -> AbstractContextManager[Tab]:
        """The account of a training that starts from a model of this digest, if from any."""
        order = Order(job.name, digest, ENGINE, operation=job.kind, phase="train")
        return self._services.accounting.tab(receipt_id, order)

    def settled(self, receipt_id: str) -> Mapping[str, Any] | None:
        """The receipt as its readers see it."""
        receipt = self._services.accounting.till.settle(receipt_id)
        return None if receipt is None else as_json(receipt)

    async def adopt(
        self, weights: Path, name: str, lineage: Mapping[str, Any]
    ) -> AsyncGenerator[Progress]:
        """Prepare a GGUF and give it its name, and say what it comes from."""
        made = partial(_of_job, lineage)
        steps = self._services.puller.pull(f"file:{weights}", name, card=made)
        async with aclosing(steps):
            async for step in steps:
                yield step


@dataclass(frozen=True, slots=True)
class _Program:
    """A job's program under way."""

    running: Child

    def lines(self) -> AsyncIterator[bytes]:
        """What it tells."""
        return self.running.lines()

    def failure(self) -> EngineError:
        """Why it ended without a last word."""
        if self.running.met_full_disk():
            return StorageFull(
                "the disk has no room for the checkpoints; make room (canteen jobs rm, "
                "canteen rm), and go on with it"
            )
        why = "failed"
        if self.running.was_killed:
            why = "was killed, as the system does where memory runs out"
        return EngineError(
            f"the program that trained {why}; its log has what it said, and it can be gone on with",
            code="job_died",
        )


@asynccontextmanager
async def _program(module: Sequence[str], folder: Path, tab: Tab) -> AsyncIterator[_Program]:
    lock = locks.Lock(folder / "lock")
    try:
        if not lock.take():
            raise EngineError("its program of before has not ended yet; try again in a moment")
        async with child(module, folder, lock.fd, watch=tab.watch) as running:
            yield _Program(running)
    finally:
        lock.close()


def _what(card: ModelCard) -> str:
    article = "an" if card.kind == "embedder" else "a"
    return f"{card.format or card.engine} of {article} {card.kind}"


def _of_job(lineage: Mapping[str, Any], card: ModelCard) -> ModelCard:
    return replace(
        card,
        source=f"{MADE_HERE}{lineage['job']}",
        parent=lineage.get("parent", ""),
        metadata={**card.metadata, "lineage": dict(lineage)},
    )


def _chat(labels: Sequence[str], descriptions: Mapping[str, str]) -> Chat:
    """As `classify` asks by scores: what is learned is what is asked later. The labels are told
    in both orders in turn, since that asks in both."""

    def asked(text: str, label: str, number: int) -> Mapping[str, Any]:
        order = labels if number % 2 == 0 else labels[::-1]
        messages = classify.question(order, descriptions, text)
        told = [{"role": one.role, "content": one.content} for one in messages]
        return {"messages": told, "completion": label}

    return asked


def _planned(spec: Finetune | Train, num_tokens: int) -> tuple[PlanRequest, dict[str, Any] | None]:
    if isinstance(spec, Finetune):
        rank = None if spec.method == "full" else spec.rank
        request = PlanRequest(
            spec.model,
            finetune=spec.method,
            train_tokens=num_tokens,
            context_length=spec.context_length,
            num_sequences=spec.batch_size,
            lora_rank=rank,
        )
        return request, None
    request = PlanRequest(
        train_tokens=num_tokens, context_length=spec.context_length, num_sequences=spec.batch_size
    )
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": spec.hidden_size,
        "intermediate_size": spec.ff_size,
        "num_hidden_layers": spec.num_layers,
        "num_attention_heads": spec.num_heads,
        "num_key_value_heads": spec.num_kv_heads,
        "vocab_size": spec.vocab_size,
        "max_position_embeddings": spec.context_length,
        "tie_word_embeddings": True,
    }
    return request, config


def _of_the_whole(made: Plan, run: TrainingRun) -> dict[str, Any]:
    """Time, energy and money of all that a job does on this machine."""
    assert made.learning is not None
    assert made.learning.devices is not None
    time = job_time(made, run)
    drawn = made.footprint(energy(time, made.learning.devices), time).energy
    told = {"time_s": _bounds(time, "s"), "energy_wh": _bounds(drawn, "Wh")}
    if made.place.price is not None:
        told["cost_usd"] = _bounds(time * made.place.price, "USD")
    return told


def _does_not_fit(made: Plan) -> str:
    there = made.place.memory_bytes or 0
    return (
        f"it does not fit: {_arithmetic(made)}, and {made.place.name} has {there / _GB:.2f} GB; "
        "take a smaller batch_size or context_length, or method lora"
    )


def _arithmetic(made: Plan) -> str:
    assert made.learning is not None
    held = made.learning.memory
    parts = {
        "weights": held.weights_bytes + held.frozen_bytes,
        "gradients": held.gradients_bytes,
        "optimizer": held.optimizer_bytes,
        "activations": held.activations_bytes,
        "runtime": held.overhead_bytes,
    }
    told = " + ".join(f"{name} {size / _GB:.2f}" for name, size in parts.items())
    return f"{told} = {held.total_bytes / _GB:.2f} GB"


def _bounds(quantity: Quantity, unit: str) -> dict[str, float]:
    told = quantity.to(unit)
    return {"central": told.central, "low": told.low, "high": told.high}
