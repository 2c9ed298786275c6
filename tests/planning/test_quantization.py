"""Bytes of weights: exact for ggml's types and mixtures, and never fewer for more bits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.planning import quantization
from canteen.planning.config import from_config
from canteen.planning.quantization import GGML, GGML_IDS, NAMES, Format, Mixture, weights_format
from canteen.planning.spec import ModelSpec
from canteen.planning.tensors import Tensor, num_parameters, tensors
from tests.planning.shapes import DEEPSEEK_V3, GPT2, LLAMA_3_8B, MIXTRAL, SMOLLM2_135M

LLAMA = from_config(LLAMA_3_8B)
SPECS = [LLAMA, *(from_config(one) for one in (MIXTRAL, SMOLLM2_135M, DEEPSEEK_V3, GPT2))]


def num_bytes(spec: ModelSpec, name: str) -> int:
    form = weights_format(name, spec)
    return quantization.weights_bytes(spec, form, is_tied=bool(spec.is_tied))


def types(spec: ModelSpec, mixture: str) -> dict[tuple[str, int], str]:
    made = tensors(spec, is_tied=bool(spec.is_tied))
    return {(one.kind, one.layer): Mixture(mixture, spec).type_of(one) for one in made}


# llama.cpp, tools/quantize/README.md, Llama 3.1 8B.
@pytest.mark.parametrize(
    ("mixture", "bits"), [("F16", 16.0005), ("Q8_0", 8.5008), ("Q6_K", 6.5633), ("Q4_K_M", 4.8944)]
)
def test_bits_per_weight_are_as_llama_cpp_publishes_them(mixture: str, bits: float) -> None:
    per_weight = 8 * num_bytes(LLAMA, mixture) / num_parameters(LLAMA)

    assert per_weight == pytest.approx(bits, abs=0.0005)


def test_gpt_3_takes_two_bytes_a_parameter() -> None:
    gpt3 = GPT2 | {"n_embd": 12288, "n_layer": 96, "n_head": 96, "n_positions": 2048}
    spec = from_config(gpt3)

    assert num_bytes(spec, "bf16") == pytest.approx(350e9, rel=0.005)
    assert num_bytes(spec, "bf16") == 2 * num_parameters(spec)


@pytest.mark.parametrize("name", sorted(GGML))
def test_layouts_are_those_of_the_gguf_library(name: str) -> None:
    constants = pytest.importorskip("gguf.constants", reason="no hub: gguf is not installed")
    kind = constants.GGMLQuantizationType[name]

    assert constants.GGML_QUANT_SIZES[kind] == GGML[name]
    assert GGML_IDS[int(kind)] == name


def test_the_better_half_of_a_mixture_is_at_both_ends() -> None:
    chosen = types(LLAMA, "Q4_K_M")

    assert [chosen["ffn_down", i] for i in (0, 3, 4, 6, 28, 31)] == [
        "Q6_K", "Q6_K", "Q4_K", "Q6_K", "Q6_K", "Q6_K",
    ]  # fmt: skip
    assert chosen["output", -1] == "Q6_K"
    assert chosen["token_embd", -1] == chosen["attn_q", 0] == "Q4_K"


def test_columns_that_are_no_whole_blocks_fall_back() -> None:
    chosen = types(from_config(SMOLLM2_135M), "Q4_K_M")

    # 576 columns are no multiple of 256; 1536 are.
    assert chosen["attn_q", 0] == "Q5_0"
    assert chosen["ffn_down", 0] == "Q6_K"
    assert chosen["token_embd", -1] == "Q8_0"


def test_eight_experts_get_better_attention() -> None:
    chosen = types(from_config(MIXTRAL), "Q4_K_M")

    assert chosen["attn_v", 10] == chosen["attn_k", 10] == "Q8_0"
    assert chosen["attn_output", 10] == "Q5_K"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_more_bits_take_more_bytes(spec: ModelSpec) -> None:
    order = ["Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16", "F32"]
    sizes = [num_bytes(spec, name) for name in order]

    assert sizes == sorted(sizes)


@pytest.mark.parametrize("name", NAMES)
def test_every_format_takes_something_of_every_model(name: str) -> None:
    for spec in SPECS:
        assert num_parameters(spec) / 8 < num_bytes(spec, name) <= 4.01 * num_parameters(spec)


@given(st.integers(1, 300), st.integers(1, 40), st.sampled_from(sorted(GGML)))
def test_a_tensor_grows_with_its_rows_and_copies(rows: int, copies: int, name: str) -> None:
    one = Tensor("attn_q", rows, 512, copies=copies)
    more = Tensor("attn_q", rows + 32, 512, copies=copies)

    assert quantization.ggml_bytes(name, one) < quantization.ggml_bytes(name, more)


def test_int8_keeps_a_scale_for_each_output() -> None:
    form: Format = weights_format("int8", LLAMA)

    assert form.num_bytes(Tensor("attn_q", 10, 100)) == 10 * 100 + 2 * 10


def test_an_unknown_format_lists_the_nearest() -> None:
    with pytest.raises(InvalidRequest, match=r"'Q4_K_X'.*Q4_K_[MS]"):
        weights_format("Q4_K_X", LLAMA)


def test_an_embedding_with_an_output_beside_it_is_no_output_even_if_the_config_is_silent() -> None:
    told = from_config(LLAMA_3_8B)
    silent = from_config(LLAMA_3_8B | {"tie_word_embeddings": None})
    form = weights_format("Q4_K_M", silent)

    assert quantization.weights_bytes(silent, form, is_tied=False) == num_bytes(told, "Q4_K_M")
