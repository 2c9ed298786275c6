"""The same trainings use a CUDA device where there is one, and tell how well."""

import json
import math
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from canteen.lifecycle.perplexity import quality_text
from canteen.lifecycle.training import hardware

from .programs import Ended, make_folder, run_program

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use"),
]
STEPS = 20
SHAPE = {"vocab_size": 320, "hidden_size": 64, "num_layers": 2, "num_heads": 2, "ff_size": 128}


def check_learned(ended: Ended) -> None:
    """It came to its end on the device, with a lower loss, and told its speed."""
    result = ended.lines[-1]["result"]
    losses = [line["loss"] for line in ended.named("step")]
    assert ended.status == 0
    assert len(losses) == STEPS
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]
    assert result["tokens_per_s"] > 0
    if hardware.peak_flops("cuda") is not None:
        assert 0 < result["mfu"] < 1


@pytest.mark.parametrize("method", ["lora", "qlora", "full"])
def test_a_model_is_taught_on_the_device(tmp_path: Path, method: str) -> None:
    if method == "qlora" and find_spec("bitsandbytes") is None:
        pytest.skip("no GPU with bitsandbytes")
    folder = make_folder(
        tmp_path / "job", method=method, device="cuda", dtype="auto", max_steps=STEPS, rank=8,
        learning_rate=1e-3 if method == "full" else 1e-2,
    )  # fmt: skip

    ended = run_program(folder)

    check_learned(ended)
    assert (folder / "result" / "model.gguf").exists()


def test_a_model_is_trained_from_scratch_on_the_device(tmp_path: Path) -> None:
    whole = quality_text()
    (tmp_path / "one.txt").write_text(whole[1000:])
    (tmp_path / "two.txt").write_text(whole[:1000])
    folder = tmp_path / "job"
    folder.mkdir()
    spec = {"name": "tiny", "corpus": [str(tmp_path)], "held_out": ["two"], **SHAPE}
    spec |= {"context_length": 64, "max_steps": STEPS, "epochs": 100, "device": "cuda"}
    told = {"kind": "train", "spec": spec, "home": str(tmp_path)}
    (folder / "spec.json").write_text(json.dumps(told))

    ended = run_program(folder)

    check_learned(ended)
    assert (folder / "result" / "model.gguf").exists()
