"""Which engine a file is prepared for: by what it is, what is installed, and the machine."""

from pathlib import Path

import pytest

from canteen.core.errors import ModelUnsuitable
from canteen.lifecycle.engine_choice import Here, choose
from canteen.lifecycle.gguf_source import GgufSource

from .tiny_model import TinyModel

NOTHING = Here(has_llamacpp=False, has_gpu=False)
LLAMACPP = Here(has_llamacpp=True, has_gpu=False)
GPU = Here(has_llamacpp=True, has_gpu=True)


def gguf(architecture: str, folder: Path) -> GgufSource:
    return GgufSource(TinyModel(architecture).write(folder / "tiny.gguf"))


@pytest.mark.parametrize(
    ("architecture", "asked", "here", "expected"),
    [
        ("llama", "auto", NOTHING, "openvino"),
        ("llama", "auto", LLAMACPP, "openvino"),
        ("llama", "auto", GPU, "llamacpp"),
        ("gemma", "auto", LLAMACPP, "llamacpp"),
        ("llama", "llamacpp", LLAMACPP, "llamacpp"),
        ("llama", "openvino", GPU, "openvino"),
    ],
)
def test_it_goes_by_the_file_the_machine_and_what_is_asked_for(
    architecture: str, asked: str, here: Here, expected: str, tmp_path: Path
) -> None:
    engine, why = choose(gguf(architecture, tmp_path), asked, here)

    assert engine == expected
    assert why


def test_vllm_runs_no_gguf_file(tmp_path: Path) -> None:
    with pytest.raises(ModelUnsuitable, match="safetensors"):
        choose(gguf("llama", tmp_path), "vllm", GPU)


@pytest.mark.parametrize(
    ("architecture", "asked", "here"),
    [("gemma", "auto", NOTHING), ("gemma", "openvino", LLAMACPP), ("llama", "llamacpp", NOTHING)],
)
def test_where_no_engine_is_left_it_is_said_which_to_install(
    architecture: str, asked: str, here: Here, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnsuitable, match="canteen engine install llamacpp"):
        choose(gguf(architecture, tmp_path), asked, here)
