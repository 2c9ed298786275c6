"""An engine on a Ray cluster is held to the contract of engines: the echo engine, by way of Ray.

Left out is what no message can hold, and what only who steps an engine himself can see.
"""

from collections.abc import Collection, Iterator

import pytest

from canteen.core.engine import ClusterListener, Engine, Home, StepEngine, StepRecord
from canteen.core.generation import EmbeddingRequest
from canteen.engines.ray import RayEmbedder, RayEngine
from canteen.engines.ray_cluster import Cluster
from canteen.engines.ray_wanted import Scale, Wanted
from tests.contracts import test_engine as contract
from tests.contracts.stepped import Stepped

LEFT_OUT = {
    "test_extreme_but_sensible_parameters_are_taken",
    "test_no_work_is_told_of_a_step_in_which_nobody_runs",
}
HELD_TO = {name: test for name, test in vars(contract).items() if name.startswith("test_")}
globals().update({name: test for name, test in HELD_TO.items() if name not in LEFT_OUT})
ONE = Scale(max_replicas=1)


class Heard(ClusterListener):
    """Hands on what replicas tell of their steps."""

    def __init__(self, stepped: Stepped) -> None:
        self._stepped = stepped

    def began(self, request_id: str, home: Home) -> None: ...

    def only(self, replicas: Collection[str]) -> None: ...

    def step(self, replica: str, record: StepRecord) -> None:
        self._stepped.heard += record.work


@pytest.fixture(scope="module")
def engine(ray_cluster: Cluster) -> Iterator[StepEngine]:
    """The echo engine on a node of the cluster."""
    deployments = []

    async def make() -> Engine:
        wanted = Wanted("contract", "echo", {"context_length": 512}, dict, 64, scale=ONE)
        deployments.append(await ray_cluster.deploy(wanted))
        return RayEngine(deployments[0])

    stepped = Stepped(make())
    deployments[0].listener = Heard(stepped)
    yield stepped
    stepped.close()


async def test_embeddings_come_from_the_cluster(ray_cluster: Cluster) -> None:
    wanted = Wanted("embedder", "echo-embedder", {}, dict, 1, scale=ONE)
    embedder = RayEmbedder(await ray_cluster.deploy(wanted))
    texts = ("the cat sat", "a cat", "rates rose")

    together = await embedder.embed(EmbeddingRequest("r", "any", texts))
    alone = await embedder.embed(EmbeddingRequest("r", "any", texts[1:2]))
    await embedder.close()

    assert together.vectors[1] == pytest.approx(alone.vectors[0])
    assert together.usage.prompt_tokens > alone.usage.prompt_tokens > 0
