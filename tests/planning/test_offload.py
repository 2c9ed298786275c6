"""Layers of a model on a GPU that may not hold all of them."""

import pytest

from canteen.planning.memory import Sequences, Weights
from canteen.planning.offload import layers_on_gpu
from canteen.planning.spec import Layer, ModelSpec

GB = 1_000_000_000
SPEC = ModelSpec("any", 4096, 32_000, (Layer(32, 8, 128, 128, 14336),) * 32, 8192)
WEIGHTS = Weights(5 * GB, 5 * GB, "a file")
SEQUENCES = Sequences(8192, 1, "f16")


@pytest.mark.parametrize(("free_gb", "expected"), [(0, 0), (0.3, 0), (24, 33)])
def test_none_or_all_where_that_is_what_fits(free_gb: float, expected: int) -> None:
    assert layers_on_gpu(SPEC, WEIGHTS, SEQUENCES, int(free_gb * GB)) == expected


def test_layers_that_are_there_fit_with_their_part_of_the_cache() -> None:
    num = layers_on_gpu(SPEC, WEIGHTS, SEQUENCES, 4 * GB)

    assert 0 < num < 33
    kv_bytes = 8192 * 32 * 8 * 256 * 2
    assert num / 33 * (WEIGHTS.num_bytes + kv_bytes) < 4 * GB


def test_more_free_memory_never_holds_fewer() -> None:
    found = [layers_on_gpu(SPEC, WEIGHTS, SEQUENCES, num * GB // 4) for num in range(40)]

    assert found == sorted(found)
