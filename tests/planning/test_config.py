"""Shapes of models: from published configurations, headers and bare counts."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.planning.assumed import from_count
from canteen.planning.config import from_config, from_gguf
from canteen.planning.memory import weights_of
from canteen.planning.quantization import weights_format
from canteen.planning.tensors import num_active_parameters, num_parameters
from tests.planning.shapes import DEEPSEEK_V3, GEMMA_3_4B, GPT2, LLAMA_3_8B, MIXTRAL, QWEN3_30B

# Published totals, and what a token uses; tied embeddings count once.
PUBLISHED = [
    (LLAMA_3_8B, 8_030_261_248, None),
    (GPT2, 124_439_808, None),
    (MIXTRAL, 46_702_792_704, 12.9e9),
    (DEEPSEEK_V3, 671e9, 37e9),
    # 3.3 B less the input embedding, which no token is multiplied with.
    (QWEN3_30B, 30.5e9, 3.3e9 - 0.31e9),
    (GEMMA_3_4B, 3.88e9, None),
]


@pytest.mark.parametrize(("config", "total", "active"), PUBLISHED)
def test_parameters_are_as_published(
    config: dict[str, Any], total: float, active: float | None
) -> None:
    spec = from_config(config)

    assert num_parameters(spec) == pytest.approx(total, rel=0.005)
    if active is not None:
        assert num_active_parameters(spec) == pytest.approx(active, rel=0.03)


def test_a_header_tells_the_same_shape_as_a_config() -> None:
    header = {
        "general.architecture": "llama",
        "general.name": "a llama",
        "llama.block_count": 32,
        "llama.context_length": 131072,
        "llama.embedding_length": 4096,
        "llama.feed_forward_length": 14336,
        "llama.attention.head_count": 32,
        "llama.attention.head_count_kv": 8,
    }

    assert from_gguf(header, 128256, is_tied=False).layers == from_config(LLAMA_3_8B).layers


def test_heads_may_differ_by_layer() -> None:
    spec = from_config(LLAMA_3_8B | {"num_key_value_heads": [8, 4]})

    assert [layer.num_kv_heads for layer in spec.layers[:3]] == [8, 4, 8]


def test_each_sixth_layer_of_gemma_3_sees_everything() -> None:
    windows = [layer.window for layer in from_config(GEMMA_3_4B).layers]

    assert windows[:6] == [1024] * 5 + [None]


def test_a_header_of_gpt_oss_has_a_window_in_each_second_layer() -> None:
    header = {
        "general.architecture": "gpt-oss",
        "gpt-oss.block_count": 4,
        "gpt-oss.context_length": 131072,
        "gpt-oss.embedding_length": 2880,
        "gpt-oss.feed_forward_length": 2880,
        "gpt-oss.attention.head_count": 64,
        "gpt-oss.attention.head_count_kv": 8,
        "gpt-oss.attention.key_length": 64,
        "gpt-oss.attention.sliding_window": 128,
    }

    windows = [layer.window for layer in from_gguf(header, 201088, is_tied=False).layers]
    assert windows == [128, None, 128, None]


def test_a_header_with_latent_attention_tells_the_sizes_of_its_heads() -> None:
    header = {
        "general.architecture": "deepseek2",
        "deepseek2.block_count": 61,
        "deepseek2.context_length": 163840,
        "deepseek2.embedding_length": 7168,
        "deepseek2.feed_forward_length": 18432,
        "deepseek2.attention.head_count": 128,
        "deepseek2.attention.head_count_kv": 1,
        "deepseek2.attention.key_length": 576,
        "deepseek2.attention.value_length": 512,
        "deepseek2.attention.key_length_mla": 192,
        "deepseek2.attention.value_length_mla": 128,
        "deepseek2.attention.kv_lora_rank": 512,
        "deepseek2.attention.q_lora_rank": 1536,
        "deepseek2.rope.dimension_count": 64,
        "deepseek2.expert_count": 256,
        "deepseek2.expert_used_count": 8,
        "deepseek2.expert_shared_count": 1,
        "deepseek2.expert_feed_forward_length": 2048,
        "deepseek2.leading_dense_block_count": 3,
    }

    spec = from_gguf(header, 129280, is_tied=False)
    assert num_parameters(spec) == num_parameters(from_config(DEEPSEEK_V3))


@settings(deadline=None, max_examples=25)
@given(st.floats(2e6, 1e14))
def test_a_bare_count_comes_out_again_and_is_said_to_be_assumed(count: float) -> None:
    spec = from_count(count)

    assert num_parameters(spec) == pytest.approx(count, rel=1e-6)
    assert spec.assumed


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"num_attention_heads": 0}, "one head at least"),
        ({"num_key_value_heads": 0}, "one head at least"),
        ({"num_attention_heads": 33}, "33 heads do not divide"),
        ({"num_key_value_heads": 5}, "5 heads of keys do not divide 32"),
        ({"num_attention_heads": -32}, "whole number"),
        ({"hidden_size": 4096.5}, "whole number"),
        ({"hidden_size": "4096"}, "whole number"),
        ({"hidden_size": True}, "whole number"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is"),
        ({"vocab_size": None}, "does not tell vocab_size"),
        ({"intermediate_size": 0}, "one column"),
        ({"head_dim": 0}, "head_dim is 0"),
        ({"v_head_dim": 0}, "v_head_dim is 0"),
        ({"hidden_size": 10**30}, "more than 1,000,000,000"),
        ({"hidden_size": 10**200}, "more than 1,000,000,000"),
        ({"num_hidden_layers": 9_999}, "num_hidden_layers is 9999"),
        ({"vocab_size": 10**9, "hidden_size": 32 * 10**6}, "more than 10"),
        ({"num_experts": 4, "num_experts_per_tok": 5}, "1 to 4 experts, not 5"),
    ],
)
def test_an_impossible_model_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        from_config(LLAMA_3_8B | change)


def test_an_assumed_shape_has_the_heads_of_its_kind() -> None:
    seven, published = from_count(8e9), from_config(LLAMA_3_8B)

    assert seven.layers[0].num_kv_heads == published.layers[0].num_kv_heads
    assert len(seven.layers) == len(published.layers)


@pytest.mark.parametrize("count", [0, -7e9, 5, 1e16, float("inf"), float("nan")])
def test_an_impossible_count_is_refused(count: float) -> None:
    with pytest.raises(InvalidRequest, match="million"):
        from_count(count)


JAMBA = LLAMA_3_8B | {
    "model_type": "jamba",
    "attn_layer_period": 8,
    "attn_layer_offset": 4,
    "expert_layer_period": 2,
    "num_experts": 16,
    "num_experts_per_tok": 2,
    "mamba_d_state": 16,
}


@pytest.mark.parametrize(
    "config",
    [
        JAMBA,
        LLAMA_3_8B | {"model_type": "qwen3_next", "layer_types": ["linear_attention"]},
        LLAMA_3_8B | {"model_type": "nemotron_h", "hybrid_override_pattern": "M-M*"},
        LLAMA_3_8B | {"model_type": "gemma3n", "num_kv_shared_layers": 10},
        LLAMA_3_8B | {"model_type": "t5gemma", "is_encoder_decoder": True},
        LLAMA_3_8B | {"model_type": "llama4_text", "layer_types": ["chunked_attention"]},
        LLAMA_3_8B | {"model_type": "ernie4_5_moe", "moe_num_experts": 64},
        LLAMA_3_8B | {"model_type": "falcon", "multi_query": True},
    ],
)
def test_a_model_with_layers_of_other_kinds_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="by its number of parameters"):
        from_config(config)


def test_a_header_of_a_hybrid_is_refused() -> None:
    header = {
        "general.architecture": "granitehybrid",
        "granitehybrid.block_count": 40,
        "granitehybrid.ssm.state_size": 128,
    }

    with pytest.raises(InvalidRequest, match=r"ssm\.state_size"):
        from_gguf(header, 100_352)


def test_an_unknown_dense_model_is_planned_and_said_to_be_assumed() -> None:
    known, unknown = from_config(LLAMA_3_8B), from_config(LLAMA_3_8B | {"model_type": "newllama"})

    assert not known.assumed
    assert "'newllama' is not known" in unknown.assumed
    assert unknown.layers == known.layers


def test_a_model_of_no_told_type_is_said_to_be_assumed() -> None:
    untyped = {key: value for key, value in LLAMA_3_8B.items() if key != "model_type"}

    assert "no model type is told" in from_config(untyped).assumed


def test_layers_below_a_bound_may_see_everything() -> None:
    told = {"model_type": "qwen2", "sliding_window": 4096, "use_sliding_window": True}
    spec = from_config(LLAMA_3_8B | told | {"max_window_layers": 28})

    assert [layer.window for layer in spec.layers] == [None] * 28 + [4096] * 4


def test_a_model_with_eyes_is_planned_as_far_as_it_writes() -> None:
    assert "text model" in from_config(GEMMA_3_4B | {"vision_config": {"depth": 27}}).assumed


def test_the_deepest_model_is_planned_in_every_format() -> None:
    spec = from_config(LLAMA_3_8B | {"num_hidden_layers": 1_000, "tie_word_embeddings": None})

    planned = [
        weights_of(spec, weights_format(name, spec))
        for name in ("bf16", "fp8", "int8", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K")
    ]

    assert len(planned) == 9


# How long an example takes says more of the machine than of the shape.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from([*LLAMA_3_8B, "layer_types", "mlp_only_layers", "text_config", "head_dim"]),
        st.one_of(st.none(), st.integers(-5, 1_500), st.text(), st.lists(st.integers())),
    )
)
def test_any_config_is_a_shape_or_refused(change: dict[str, Any]) -> None:
    try:
        spec = from_config(LLAMA_3_8B | {"num_hidden_layers": 2} | change)
    except InvalidRequest:
        return
    assert num_parameters(spec) > 0
