"""Preparing as a program, and what it promises of the real default model."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from canteen.core.errors import ModelUnsuitable
from canteen.core.model import ModelCard, Progress
from canteen.lifecycle import openvino_ir
from canteen.lifecycle.as_served import ServedModel
from canteen.lifecycle.perplexity import folder_windows, perplexity
from canteen.lifecycle.prepare import Wanted, main, prepare
from canteen.runtime.catalog import Catalog

from .conftest import MakeGguf
from .tiny_model import TinyModel

MOST_WORSENING = 1.015


def run(*arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
    lines: list[str] = []
    status = main([str(argument) for argument in arguments], lines.append)
    return status, [json.loads(line) for line in lines]


def unheard(progress: Progress) -> None:
    pass


def test_what_cannot_be_prepared_is_told_as_the_last_line(
    make_gguf: MakeGguf, tmp_path: Path
) -> None:
    wanted: list[str | Path] = ["--engine", "openvino", make_gguf(architecture="gemma3")]

    status, lines = run(*wanted, tmp_path / "out")

    assert status == 1
    assert lines[-1]["code"] == "model_unsuitable"
    assert "engine install llamacpp" in lines[-1]["error"]
    assert str(tmp_path) not in lines[-1]["error"]


def test_a_file_that_openvino_cannot_run_goes_to_llamacpp_as_it_is(tmp_path: Path) -> None:
    path = TinyModel("gemma", template="{{ messages }}").write(tmp_path / "tiny")

    prepared = prepare(path, tmp_path / "out", unheard)

    assert (prepared.engine, prepared.architecture, prepared.kind) == (
        "llamacpp", "gemma", "generator"
    )  # fmt: skip
    assert prepared.size_bytes == path.stat().st_size
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["canteen.json"]


def test_what_is_no_adapter_of_the_model_is_refused(tmp_path: Path) -> None:
    path = TinyModel("gemma").write(tmp_path / "tiny")
    (tmp_path / "none").write_bytes(b"GGUF")

    for adapter in (path, tmp_path / "none"):
        with pytest.raises(ModelUnsuitable, match="no LoRA adapter"):
            prepare(path, tmp_path / "out", unheard, Wanted(adapters=[adapter]))


def test_a_path_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    status, lines = run(tmp_path / "missing", tmp_path / "out")

    assert (status, lines[-1]["code"]) == (1, "model_unsuitable")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").touch()

    with pytest.raises(ModelUnsuitable, match=r"neither openvino_model\.xml"):
        prepare(tmp_path, tmp_path / "out", unheard)


def test_a_folder_of_ir_without_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "openvino_model.xml").touch()

    with pytest.raises(ModelUnsuitable, match=r"no openvino_tokenizer\.xml"):
        prepare(tmp_path, tmp_path / "out", unheard)


def test_a_damaged_folder_of_ir_is_refused(tmp_path: Path) -> None:
    prepare(TinyModel("llama").write(tmp_path / "tiny"), tmp_path / "made", unheard)
    (tmp_path / "made" / "openvino_tokenizer.xml").write_text("<net")

    with pytest.raises(ModelUnsuitable, match="cannot run this folder"):
        prepare(tmp_path / "made", tmp_path / "out", unheard)


def test_the_program_keeps_what_libraries_print_out_of_its_lines(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "canteen.lifecycle.prepare", "/dev/null", str(tmp_path)]

    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert [json.loads(line)["code"] for line in ended.stdout.splitlines()] == ["model_unsuitable"]


def test_a_folder_of_ir_is_taken_as_it_is(tmp_path: Path) -> None:
    made = prepare(TinyModel("llama").write(tmp_path / "tiny"), tmp_path / "made", unheard)
    source = tmp_path / "source"
    source.mkdir()
    for file in (tmp_path / "made").glob("openvino_*"):
        (source / file.name).symlink_to(file)
    (source / "config.json").write_text('{"model_type": "llama", "max_position_embeddings": 4096}')

    prepared = prepare(source, tmp_path / "out", unheard)

    assert (prepared.architecture, prepared.format) == ("llama", "openvino")
    assert prepared.context_length == 4096
    assert prepared.quantization == "i8"
    assert prepared.num_parameters == pytest.approx(made.num_parameters, rel=0.1)
    assert "perplexity_before" not in prepared.quality
    before, after = made.quality["perplexity_after"], prepared.quality["perplexity_after"]
    assert after == pytest.approx(before, rel=1e-6)
    description = json.loads((tmp_path / "out" / "canteen.json").read_text())
    assert description["eos_token_ids"] == [2]
    weights = [folder / "openvino_model.bin" for folder in (tmp_path / "made", tmp_path / "out")]
    assert weights[0].samefile(weights[1])


def test_the_default_model_is_described_for_its_engine(
    catalog: Catalog, default_model: ModelCard
) -> None:
    folder = catalog.path(default_model)
    description = json.loads((folder / "canteen.json").read_text())
    vocabulary = json.loads((folder / "vocabulary.json").read_text())

    assert description["context_length"] == default_model.context_length == 8192
    assert description["eos_token_ids"] == [2, 0]
    assert vocabulary[2].encode("latin-1") == b"<|im_end|>"
    assert len(vocabulary) == description["vocab_size"] == 49152
    assert sum(not token for token in vocabulary) == 0
    assert not list(folder.glob("float16-*"))


def test_the_record_of_the_default_model_stays_within_one_and_a_half_percent(
    default_model: ModelCard,
) -> None:
    quality = default_model.quality

    assert quality["perplexity_after"] < quality["perplexity_before"] * MOST_WORSENING
    assert quality["bytes_after"] == default_model.size_bytes
    assert quality["decode_tokens_per_s"] > 0


def test_the_default_model_measured_anew_stays_within_one_and_a_half_percent(
    catalog: Catalog, default_model: ModelCard
) -> None:
    folder = catalog.path(default_model)

    now = ServedModel(folder).perplexity(folder_windows(folder))

    assert now < default_model.quality["perplexity_before"] * MOST_WORSENING


@pytest.mark.slow
def test_a_4_bit_file_read_directly_would_fail_that_promise(
    catalog: Catalog, default_model: ModelCard, default_gguf: Path, tmp_path: Path
) -> None:
    direct = tmp_path / "model.gguf"
    direct.symlink_to(default_gguf)
    openvino_ir.convert(direct)

    windows = folder_windows(catalog.path(default_model))
    worse = perplexity(tmp_path / openvino_ir.MODEL, windows, {})

    assert worse > default_model.quality["perplexity_before"] * 1.1
