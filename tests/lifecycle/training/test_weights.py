"""A GGUF becomes a transformers model and a GGUF again, and nothing is lost."""

from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader

from canteen.lifecycle.gguf_source import GgufSource
from canteen.lifecycle.training import weights
from tests.lifecycle.tiny_model import CHATML, TinyModel

ARCHITECTURES = ("llama", "qwen2", "qwen3")
IDS = [5, 9, 100, 33, 60, 258]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_model_computes_what_the_file_means(architecture: str, tmp_path: Path) -> None:
    tiny = TinyModel(architecture)
    model = weights.load(tiny.write(tmp_path / "tiny.gguf"))

    with torch.no_grad():
        logits = model(torch.tensor([IDS])).logits[0]

    np.testing.assert_allclose(logits.numpy(), tiny.logits(IDS), atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_that_nobody_touched_come_back_as_they_were(
    architecture: str, tmp_path: Path
) -> None:
    parent = TinyModel(architecture, template=CHATML).write(tmp_path / "tiny.gguf")
    GgufSource(parent).write_dequantized(tmp_path / "plain.gguf", lambda done, of: None)

    weights.write(weights.load(parent), parent, tmp_path / "result" / "model.gguf")

    assert (tmp_path / "result" / "model.gguf").read_bytes() == (
        tmp_path / "plain.gguf"
    ).read_bytes()


def test_changed_weights_are_those_of_the_file(tmp_path: Path) -> None:
    parent = TinyModel("llama", template=CHATML).write(tmp_path / "tiny.gguf")
    model = weights.load(parent)
    with torch.no_grad():
        for weight in model.parameters():
            weight += torch.randn_like(weight) * 0.1
        expected = model(torch.tensor([IDS])).logits

    weights.write(model, parent, tmp_path / "changed.gguf")

    again = weights.load(tmp_path / "changed.gguf")
    with torch.no_grad():
        assert torch.allclose(again(torch.tensor([IDS])).logits, expected, atol=0.05)
    types = {t.tensor_type.name for t in GGUFReader(tmp_path / "changed.gguf").tensors}
    assert types == {"F16", "F32"}
