"""The KV cache: of each kind of attention, in whole blocks, with its scales."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.planning import kv
from canteen.planning.config import from_config
from tests.planning.shapes import DEEPSEEK_V3, GEMMA_3_4B, LLAMA_3_8B, OPT_13B

LLAMA, OPT = from_config(LLAMA_3_8B), from_config(OPT_13B)
GEMMA, DEEPSEEK = from_config(GEMMA_3_4B), from_config(DEEPSEEK_V3)
types = st.sampled_from(sorted(kv.ELEMENT_BYTES))
contexts = st.integers(1, 100_000)


def test_opt_13b_is_as_the_vllm_paper_has_it() -> None:
    assert kv.bytes_per_token(OPT, "f16") == 819_200
    assert kv.bytes_per_sequence(OPT, "f16", 2048) == pytest.approx(1.6e9, rel=0.05)


def test_shared_heads_count_once() -> None:
    assert kv.bytes_per_token(LLAMA, "f16") == 32 * 8 * 2 * 128 * 2


def test_a_latent_is_kept_once_for_keys_and_values() -> None:
    assert kv.bytes_per_token(DEEPSEEK, "bf16") == 61 * (512 + 64) * 2


def test_a_layer_with_a_window_keeps_no_more_than_that() -> None:
    full_layers = sum(layer.window is None for layer in GEMMA.layers)
    per_layer = 4 * 2 * 256 * 2
    windowed = (34 - full_layers) * 1024 * per_layer

    assert kv.bytes_per_sequence(GEMMA, "f16", 100_000) == (
        full_layers * 100_000 * per_layer + windowed
    )


def test_scales_of_a_quantized_cache_count() -> None:
    assert kv.bytes_per_token(OPT, "q8_0") == 819_200 / 2 * 1.0625
    assert kv.bytes_per_token(OPT, "q4_0") == 819_200 / 2 * 0.5625


def test_blocks_are_given_whole() -> None:
    assert kv.bytes_per_sequence(LLAMA, "f16", 33, 32) == kv.bytes_per_sequence(LLAMA, "f16", 64)


def test_a_context_beyond_the_models_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="holds 2,048 tokens; a context of 2,049"):
        kv.bytes_per_sequence(OPT, "f16", 2049)


def test_an_unknown_type_lists_what_there_is() -> None:
    with pytest.raises(InvalidRequest, match=r"'q3'; it can be f32, f16"):
        kv.element_bytes("q3")


@given(contexts, contexts, types, st.sampled_from([1, 16, 32]))
def test_a_longer_context_never_takes_less(one: int, other: int, kv_type: str, block: int) -> None:
    shorter, longer = sorted((one, other))

    for spec in (LLAMA, GEMMA, DEEPSEEK):
        assert kv.bytes_per_sequence(spec, kv_type, shorter, block) <= kv.bytes_per_sequence(
            spec, kv_type, longer, block
        )


@given(contexts, types)
def test_without_a_window_it_grows_in_proportion(context: int, kv_type: str) -> None:
    whole = kv.bytes_per_sequence(LLAMA, kv_type, context)

    assert whole == pytest.approx(context * kv.bytes_per_token(LLAMA, kv_type), abs=1)
