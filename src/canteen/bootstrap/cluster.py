"""Models on a Ray cluster, wired: replicas there, the queue and the books here."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from canteen.bootstrap.books import joule
from canteen.core.engine import Home
from canteen.core.errors import EngineError
from canteen.core.model import ModelCard
from canteen.engines import environment, registry
from canteen.engines.ray import RayEmbedder, RayEngine
from canteen.engines.ray_cluster import Cluster
from canteen.engines.ray_wanted import Needs, Scale, Wanted
from canteen.metering.accounting import Accounting
from canteen.metering.attribution import StepCost
from canteen.metering.cluster import Replicas
from canteen.metering.meter import Meter
from canteen.metering.probes.modelled import Modelled
from canteen.planning.this_host import Processor, processor, this_host
from canteen.runtime.admission import Limited, LimitedEmbedder
from canteen.runtime.gate import Gate
from canteen.runtime.memory import machine_bytes
from canteen.runtime.slot import Health, Served
from canteen.settings import Settings

# Ray's resource of a node with an accelerator; the least that can be taken of it.
_KIND = "accelerator_type:"
_A_LITTLE = 0.001
_PARALLEL = ("tensor_parallel_size", "pipeline_parallel_size")
Options = dict[str, Any]


class Clustered:
    """The models that a cluster runs for this gateway."""

    def __init__(
        self,
        settings: Settings,
        books: Accounting,
        make_gate: Callable[[int], Gate],
        memory_bytes: Callable[[ModelCard], int],
    ) -> None:
        self.cluster = Cluster(settings.ray)
        self._settings = settings
        self._books = books
        self._nodes = books.cluster(_meter)
        self._make_gate = make_gate
        self._memory_bytes = memory_bytes

    async def made(
        self, card: ModelCard, options: Options, cost: StepCost
    ) -> tuple[Served, Health]:
        """What serves a model, whose first replica is loaded."""
        is_embedder = registry.is_embedder(card.engine)
        num_seqs = 1 if is_embedder else self._settings.max_num_seqs
        wanted = await self._wanted(card, options, num_seqs)
        deployed = await self.cluster.deploy(wanted)
        deployed.listener = replicas = Replicas(self._nodes, cost)
        gate = self._make_gate(num_seqs * deployed.num_taken)
        deployed.on_scale = lambda num_taken: gate.resize(num_seqs * num_taken)
        if is_embedder:
            embedder = self._books.embedder_on(RayEmbedder(deployed), replicas, self._nodes)
            return LimitedEmbedder(embedder, gate), deployed
        engine = self._books.metered_on(RayEngine(deployed), replicas, self._nodes)
        return Limited(engine, gate), deployed

    async def _wanted(self, card: ModelCard, options: Options, num_seqs: int) -> Wanted:
        needs = Needs(self._settings.num_threads or 1.0, memory_bytes=self._memory_bytes(card))
        is_on_gpus = not environment.is_for_cpus(card.engine, self._settings.home)
        if card.engine == "vllm" and is_on_gpus:
            options, needs = spread(options, needs, await self.cluster.resources())
        told = self._settings
        scale = Scale(
            told.ray_min_replicas,
            max(told.ray_min_replicas, told.ray_max_replicas),
            drain_s=told.drain_timeout_s,
        )
        home = told.home
        return Wanted(card.name, card.engine, options, facts, num_seqs, needs, scale, home)


def spread(
    options: Options, needs: Needs, nodes: Sequence[Mapping[str, float]]
) -> tuple[Options, Needs]:
    """The GPUs of a replica that takes several: those of one node, where one has so many. Else the
    engine itself spreads over nodes, and Ray gives it what it asks for; then the replica only has
    to be where there are GPUs. Raises EngineError where there are none."""
    if not any(node.get("GPU", 0) for node in nodes):
        raise EngineError(
            "no node of the Ray cluster has a GPU, which vLLM needs; add a node with one, or pull "
            "the model in a form that another engine runs"
        )
    num_gpus = math.prod(int(options.get(name, 1)) for name in _PARALLEL)
    if any(node.get("GPU", 0) >= num_gpus for node in nodes):
        return options, Needs(needs.num_cpus, num_gpus, needs.memory_bytes)
    kinds = sorted({name for node in nodes for name in node if name.startswith(_KIND)})
    also = dict.fromkeys(kinds[:1], _A_LITTLE)
    over_nodes = {**options, "distributed_executor_backend": "ray"}
    return over_nodes, Needs(needs.num_cpus, 0.0, needs.memory_bytes, also)


def facts() -> dict[str, Any]:
    """What a node tells of itself, by which its power is modelled."""
    kind = processor()
    known = {name: getattr(kind, name) for name in ("name", "vendor", "family", "num_threads")}
    return {"memory_bytes": machine_bytes(), **known}


def _meter(home: Home) -> Meter:
    """A model of a node's power: what is counted there is not told here."""
    told = dict(home.facts)
    memory_bytes = told.pop("memory_bytes")
    kind = Processor(**told, mhz=0.0, threads_per_core=1.0, flags=frozenset())
    host = this_host(memory_bytes, kind)
    assert host.power_idle is not None
    meter = Modelled(
        host.power_idle.central, host.power_max.central, host.num_threads, joule(host.power_max)
    )
    meter.source += f" of the cluster's node {home.node}, where no counter is read"
    return meter
