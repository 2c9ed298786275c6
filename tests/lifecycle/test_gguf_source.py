"""Reading GGUF files, and writing them dequantized."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader
from gguf.quants import dequantize

from canteen.core.errors import ModelUnsuitable
from canteen.lifecycle.gguf_source import GgufSource

from .conftest import MakeGguf


def tensors(path: Path) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in GGUFReader(path).tensors}


def test_a_dequantized_copy_has_the_same_values_to_16_bits(
    make_gguf: MakeGguf, tmp_path: Path
) -> None:
    source = make_gguf()
    copy = tmp_path / "copy.gguf"

    GgufSource(source).write_dequantized(copy, lambda done, total: None)

    before, after = tensors(source), tensors(copy)
    assert list(before) == list(after)
    for name, tensor in before.items():
        values = dequantize(tensor.data, tensor.tensor_type)
        assert after[name].tensor_type.name == ("F32" if values.ndim == 1 else "F16")
        np.testing.assert_allclose(after[name].data, values, rtol=1e-3)


def test_a_dequantized_copy_says_the_same_of_itself(make_gguf: MakeGguf, tmp_path: Path) -> None:
    source = GgufSource(make_gguf())
    copy = tmp_path / "copy.gguf"

    source.write_dequantized(copy, lambda done, total: None)

    copied = GgufSource(copy)
    assert copied.value("general.file_type") == 1
    assert copied.value("tokenizer.ggml.tokens") == source.value("tokenizer.ggml.tokens")
    assert copied.context_length == source.context_length == 64
    assert copied.num_parameters == source.num_parameters == 2 * 64 * 32 + 32


def test_progress_counts_tensors(make_gguf: MakeGguf, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    source = GgufSource(make_gguf())
    source.write_dequantized(tmp_path / "copy.gguf", lambda *counts: told.append(counts))

    assert told == [(1, 3), (2, 3), (3, 3)]


def test_every_control_token_that_ends_a_turn_ends_a_completion(make_gguf: MakeGguf) -> None:
    source = GgufSource(make_gguf())

    assert source.end_token_ids() == [3, 2]
    assert source.control_token_ids() == [2, 3, 4]


def test_metadata_is_small_scalars(make_gguf: MakeGguf) -> None:
    metadata = GgufSource(make_gguf(own={"note": "x" * 5000, "block_count": 1})).metadata()

    assert metadata["general.license"] == "mit"
    assert metadata["llama.block_count"] == 1
    assert "llama.note" not in metadata
    assert "tokenizer.ggml.tokens" not in metadata


@pytest.mark.parametrize(
    ("made", "what"),
    [
        ({"architecture": "gemma3"}, "architecture 'gemma3'"),
        ({"own": {"expert_count": 8}}, "mixture of experts"),
        ({"own": {"rope.scaling.type": "yarn"}}, "rotary"),
        ({"extra_tensors": ("rope_freqs.weight",)}, "rotary"),
    ],
)
def test_what_openvino_cannot_run_names_the_engine_to_install(
    make_gguf: MakeGguf, made: dict[str, Any], what: str
) -> None:
    path = make_gguf(**made)

    with pytest.raises(ModelUnsuitable, match=what) as raised:
        GgufSource(path).check_for_openvino()

    assert "canteen engine install llamacpp" in raised.value.message


def test_a_part_of_a_split_model_is_refused(make_gguf: MakeGguf) -> None:
    path = make_gguf(split_count=3)

    with pytest.raises(ModelUnsuitable, match="merge its parts"):
        GgufSource(path)


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"<html>not found</html>")

    with pytest.raises(ModelUnsuitable, match="no GGUF file"):
        GgufSource(path)


def test_a_file_cut_short_anywhere_is_refused(make_gguf: MakeGguf) -> None:
    path = make_gguf()
    whole = path.read_bytes()

    for size in range(4, len(whole) - 32, 97):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelUnsuitable):
            GgufSource(path)


def test_a_file_of_garbage_after_the_magic_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    random = np.random.default_rng(1)

    for _ in range(50):
        path.write_bytes(b"GGUF\x03\0\0\0" + random.bytes(400))
        with pytest.raises(ModelUnsuitable):
            GgufSource(path)
