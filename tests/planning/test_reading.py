"""What a step reads: weights but for what is looked up, experts by share, caches by window."""

from dataclasses import replace

import pytest

from canteen.planning import kv
from canteen.planning.assumed import from_count
from canteen.planning.quantization import weights_format
from canteen.planning.reading import reading
from canteen.planning.roofline import Reading
from canteen.planning.spec import Experts, Latent, Layer, ModelSpec

LLAMA = ModelSpec(
    "llama-3.1-8b", 4096, 128_256, (Layer(32, 8, 128, 128, 14_336),) * 32, 131_072, is_tied=False
)


def read(spec: ModelSpec, form: str = "bf16") -> Reading:
    return reading(spec, weights_format(form, spec), "f16")


def test_a_step_reads_all_weights_but_the_input_embedding() -> None:
    embedding = 128_256 * 4096

    assert read(LLAMA).shared_bytes == 2 * (8_030_261_248 - embedding)


def test_an_embedding_that_is_the_output_too_is_read() -> None:
    untied, tied = read(LLAMA), read(replace(LLAMA, is_tied=True))

    assert tied.shared_bytes == untied.shared_bytes


def test_a_model_that_only_encodes_reads_no_embedding() -> None:
    encoder = read(replace(LLAMA, has_cache=False))

    assert encoder.shared_bytes == read(LLAMA).shared_bytes - 2 * 128_256 * 4096


def test_fewer_bits_are_fewer_bytes() -> None:
    assert read(LLAMA, "Q4_K_M").shared_bytes < read(LLAMA, "Q8_0").shared_bytes


def test_the_cache_has_the_shared_heads_only() -> None:
    (attention,) = read(LLAMA).attention

    assert attention.kv_bytes_per_token == 2 * 32 * 8 * 128 * 2
    assert attention.flops_per_pair == 4 * 32 * 32 * 128


def test_of_a_bare_count_the_cache_that_is_read_is_the_one_that_is_held() -> None:
    for count in (1e8, 7.5e9):
        spec = from_count(count)
        assert read(spec).kv_read(1) == kv.bytes_per_token(spec, "f16")


def test_layers_with_a_window_are_counted_apart() -> None:
    windowed = replace(LLAMA.layers[0], window=1024)
    spec = replace(LLAMA, layers=(LLAMA.layers[0], windowed, windowed))

    parts = {one.window: one.kv_bytes_per_token for one in read(spec).attention}

    assert parts == {None: 4096, 1024: 8192}


def test_a_latent_is_cached_once() -> None:
    latent = replace(LLAMA.layers[0], key_dim=192, latent=Latent(512, 64, 128))

    (attention,) = read(replace(LLAMA, layers=(latent,))).attention

    assert attention.kv_bytes_per_token == (512 + 64) * 2


def test_a_token_reads_its_share_of_the_experts() -> None:
    layer = replace(LLAMA.layers[0], experts=Experts(8, 2, 14_336))

    found = read(replace(LLAMA, layers=(layer,) * 32))

    assert found.expert_share == 0.25
    assert found.expert_bytes == pytest.approx(2 * 32 * 8 * 3 * 4096 * 14_336)
