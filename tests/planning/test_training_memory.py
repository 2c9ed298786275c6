"""Memory of training: ZeRO as its paper has it, adapters on a frozen base, activations."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.planning.assumed import from_count
from canteen.planning.config import from_config
from canteen.planning.tensors import num_parameters
from canteen.planning.training_memory import Recompute, Setup, activations_bytes, training_memory
from tests.planning.shapes import LLAMA_3_8B

LLAMA = from_config(LLAMA_3_8B)


# Rajbhandari et al., arXiv 1910.02054, figure 1: 7.5 B parameters on 64 devices.
@pytest.mark.parametrize(("stage", "gb"), [(0, 120.0), (1, 31.4), (2, 16.6), (3, 1.9)])
def test_zero_divides_as_published(stage: int, gb: float) -> None:
    made = training_memory(from_count(7.5e9), Setup(num_devices=64, zero=stage))

    assert round(made.states_bytes / 1e9, 1) == gb


def test_devices_that_exchange_gradients_need_buffers_for_it() -> None:
    alone, several = (training_memory(LLAMA, Setup(num_devices=num)) for num in (1, 8))

    assert 0 < alone.overhead_bytes < several.overhead_bytes
    assert alone.total_bytes == (
        alone.states_bytes + alone.activations_bytes + alone.overhead_bytes
    )


def test_lora_trains_rank_times_inputs_and_outputs_of_each_matrix() -> None:
    made = training_memory(LLAMA, Setup("lora", lora_rank=8))

    # q and attn_output, k and v, gate, up and down.
    per_layer = 2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336)
    assert made.trained_parameters == 32 * 8 * per_layer
    assert made.frozen_bytes == 2 * num_parameters(LLAMA)


def test_a_quantized_base_takes_a_quarter_and_full_training_the_most() -> None:
    full, lora, qlora = (
        training_memory(LLAMA, Setup(method)) for method in ("full", "lora", "qlora")
    )

    assert qlora.frozen_bytes < 0.4 * lora.frozen_bytes
    assert qlora.total_bytes < lora.total_bytes < full.total_bytes


def test_recomputation_saves_activations() -> None:
    kinds: list[Recompute] = ["full", "selective", "none"]
    sizes = [activations_bytes(LLAMA, 4096, 1, kind) for kind in kinds]

    assert sizes == sorted(sizes)
    assert sizes[1] == 34 * 32 * 4096 * 4096


@given(st.integers(1, 512), st.integers(0, 2))
def test_a_later_stage_never_takes_more(num_devices: int, stage: int) -> None:
    one = Setup(num_devices=num_devices, zero=stage)

    assert (
        training_memory(LLAMA, replace(one, zero=stage + 1)).total_bytes
        <= training_memory(LLAMA, one).total_bytes
    )


@pytest.mark.parametrize(
    "wrong", [{"num_devices": 0}, {"zero": 4}, {"lora_rank": 0}, {"micro_batch": -1}]
)
def test_impossible_setups_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest):
        Setup(**wrong)  # type: ignore[arg-type]
