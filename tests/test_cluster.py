"""What a model needs of a cluster's nodes."""

import pytest

from canteen.bootstrap.cluster import spread
from canteen.core.errors import EngineError
from canteen.engines.ray_wanted import Needs

NEEDS = Needs(4.0, memory_bytes=10**9)
NODES = [{"CPU": 64.0}, {"CPU": 64.0, "GPU": 8.0, "accelerator_type:H200": 1.0}]


@pytest.mark.parametrize(
    ("options", "num_gpus"),
    [({}, 1), ({"tensor_parallel_size": "4", "pipeline_parallel_size": "2"}, 8)],
)
def test_what_one_node_can_hold_takes_its_gpus(options: dict[str, str], num_gpus: int) -> None:
    told, needs = spread(options, NEEDS, NODES)

    assert told == options
    assert (needs.num_gpus, needs.also) == (num_gpus, {})


def test_what_no_node_can_hold_is_spread_by_the_engine_from_a_node_with_gpus() -> None:
    told, needs = spread({"tensor_parallel_size": "16"}, NEEDS, NODES)

    assert told["distributed_executor_backend"] == "ray"
    assert needs.num_gpus == 0
    assert list(needs.also) == ["accelerator_type:H200"]


def test_a_cluster_without_gpus_is_told_so_before_a_replica_waits_for_one() -> None:
    with pytest.raises(EngineError, match="no node of the Ray cluster has a GPU"):
        spread({}, NEEDS, [{"CPU": 4.0}])
