"""GGUF files: the shape and the exact bytes from the header alone."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter, quants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.planning import gguf_table
from canteen.planning.subject import of_file
from canteen.planning.tensors import num_parameters


def write(
    path: Path,
    *,
    is_tied: bool = True,
    attn_v: GGMLQuantizationType = GGMLQuantizationType.Q8_0,
) -> Path:
    writer: Any = GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(512)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(128)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_token_list([f"<{i}>" for i in range(96)])
    writer.add_array("llama.rope.factors", [1.0, 2.0])
    names = {
        "token_embd": (96, 64),
        "blk.0.attn_q": (64, 64),
        "blk.0.attn_k": (32, 64),
        "blk.0.attn_v": (32, 64),
        "blk.0.attn_output": (64, 64),
        "blk.0.ffn_gate": (128, 64),
        "blk.0.ffn_up": (128, 64),
        "blk.0.ffn_down": (64, 128),
    } | ({} if is_tied else {"output": (96, 64)})
    for name, shape in names.items():
        kind = attn_v if name.endswith("attn_v") else GGMLQuantizationType.Q8_0
        data = quants.quantize(np.ones(shape, np.float32), kind)
        writer.add_tensor(f"{name}.weight", data, raw_dtype=kind)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(64, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_bytes_are_those_of_the_tensors(tmp_path: Path) -> None:
    read = gguf_table.read(write(tmp_path / "small.gguf"))

    matrices = 96 * 64 + 2 * 64 * 64 + 2 * 32 * 64 + 3 * 128 * 64
    assert read.weights.num_bytes == matrices * 34 // 32 + 3 * 64 * 4
    assert num_parameters(read.spec) == matrices + 3 * 64
    assert read.type == "Q8_0"
    assert read.spec.vocab_size == 96


@pytest.mark.parametrize("is_tied", [True, False])
def test_the_tensors_tell_whether_the_output_is_tied(tmp_path: Path, is_tied: bool) -> None:
    assert gguf_table.read(write(tmp_path / "small.gguf", is_tied=is_tied)).spec.is_tied is is_tied


@pytest.mark.parametrize("is_tied", [True, False])
def test_a_step_reads_the_files_own_tensors(tmp_path: Path, is_tied: bool) -> None:
    path = write(tmp_path / "small.gguf", is_tied=is_tied, attn_v=GGMLQuantizationType.F16)

    subject = of_file(path)

    embedding = 96 * 64 * 34 // 32
    assert subject.usual == "Q8_0"
    assert subject.weights is not None
    assert subject.reading(None, "f16").shared_bytes == (
        subject.weights.num_bytes - (0 if is_tied else embedding)
    )
    assert subject.reading(None, "f16").shared_bytes > subject.reading("Q8_0", "f16").shared_bytes


def test_experts_are_told_apart_in_new_files_and_in_old_ones() -> None:
    assert gguf_table.kind("blk.3.ffn_up_exps.weight") == "ffn_up_exps"
    assert gguf_table.kind("blk.12.ffn_up.7.weight") == "ffn_up_exps"
    assert gguf_table.kind("blk.0.attn_v.weight") == "attn_v"
    assert gguf_table.kind("token_embd.weight") == "token_embd"


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"none\.gguf cannot be read: No such file"):
        gguf_table.read(tmp_path / "none.gguf")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(share=st.floats(0, 1), flips=st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255))))
def test_a_spoiled_header_is_refused_or_read(
    tmp_path: Path, share: float, flips: list[tuple[int, int]]
) -> None:
    whole = tmp_path / "small.gguf"
    if not whole.exists():
        write(whole)
    content = bytearray(whole.read_bytes())
    for at, value in flips:
        content[at] = value
    spoiled = tmp_path / "spoiled.gguf"
    spoiled.write_bytes(content[: int(len(content) * share)])

    with contextlib.suppress(InvalidRequest):
        assert gguf_table.read(spoiled).weights.num_bytes >= 0
