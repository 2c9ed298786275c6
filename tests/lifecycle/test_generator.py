"""Preparing whole tiny models: what comes out computes what the file's weights mean."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino_genai
import pytest
from gguf import GGMLQuantizationType

from canteen.core.model import Progress
from canteen.lifecycle.perplexity import EXACT
from canteen.lifecycle.prepare import Wanted, prepare

from .tiny_model import CONTEXT_LENGTH, TinyModel

IDS = [1, 70, 80, 90, 100, 259, 33, 34, 2, 200]


def run(folder: Path, mode: dict[str, str]) -> Any:
    model = openvino.Core().compile_model(folder / "openvino_model.xml", "CPU", mode)
    ids = np.array([IDS], np.int64)
    found = model(
        {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "position_ids": np.arange(len(IDS), dtype=np.int64)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
    )
    return found["logits"][0]


@pytest.mark.parametrize(
    "tiny",
    [
        TinyModel("llama", GGMLQuantizationType.Q4_1),
        TinyModel("llama", head_size=64),
        TinyModel("qwen2"),
        TinyModel("qwen3", GGMLQuantizationType.Q4_1),
        TinyModel("qwen3", head_size=64),
    ],
    ids=str,
)
def test_a_prepared_model_computes_what_its_weights_mean(tiny: TinyModel, tmp_path: Path) -> None:
    told: list[Progress] = []

    wanted = Wanted("openvino")
    prepared = prepare(tiny.write(tmp_path / "tiny"), tmp_path / "out", told.append, wanted)

    expected, found = tiny.logits(IDS), run(tmp_path / "out", EXACT)
    # Int8 rounding leaves this near; positions, heads or norms taken otherwise do not.
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.997
    assert prepared.quantization == tiny.kind.name
    assert prepared.context_length == CONTEXT_LENGTH
    steps = list(dict.fromkeys(step.status for step in told))
    assert steps[0] == "for openvino, as it was asked for"
    assert steps[1:] == ["dequantizing", "converting", "compressing", "measuring"]
    assert not list((tmp_path / "out").glob("float16-*"))


def test_a_prepared_tokenizer_counts_every_token_of_a_long_text(tmp_path: Path) -> None:
    prepare(TinyModel("llama").write(tmp_path / "tiny"), tmp_path / "out", lambda progress: None)

    tokenizer = openvino_genai.Tokenizer(str(tmp_path / "out"))

    assert tokenizer.encode("a " * 20_000, add_special_tokens=False).input_ids.shape[1] == 40_000
