"""A fine-tune leaves a file that knows what was learnt."""

import json
import math
import re
from pathlib import Path

import pytest
import torch

from canteen.core.errors import InvalidRequest
from canteen.lifecycle.gguf_source import GgufSource
from canteen.lifecycle.training import finetune, weights
from canteen.lifecycle.training.batches import collate
from canteen.lifecycle.training.specs import Finetune
from canteen.lifecycle.training.stepping import Arithmetic, Stepper

from .programs import Ended, make_folder, run_program


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """A fine-tune with LoRA, at its end."""
    folder = make_folder(
        tmp_path_factory.mktemp("jobs") / "tuned", max_steps=30, learning_rate=1e-2, rank=8
    )
    return folder, run_program(folder)


def test_what_was_learnt_beside_the_weights_is_merged_into_them(
    tuned: tuple[Path, Ended],
) -> None:
    folder, ended = tuned
    path = folder / "result" / "model.gguf"
    reader = finetune.reader_for(GgufSource(path), weights.load_tokenizer(path))
    lines = [json.loads(line) for line in (folder / "examples.jsonl").read_text().splitlines()]
    examples = [reader.example(line) for line in lines if line["part"] == "validation"]

    stepper = Stepper(weights.load(path), Arithmetic("cpu", torch.float32), 0.0)
    loss = stepper.mean_loss([collate(examples, "cpu")])

    result = ended.lines[-1]["result"]
    assert ended.status == 0
    assert loss == pytest.approx(result["validation_loss"], abs=0.01)
    assert loss < math.log(3)
    assert (result["train"], result["validation"], result["dropped"]) == (24, 6, 0)
    assert result["tokens_per_s"] > 0
    assert ended.named("sample")[-1]["text"] in ("yes", "no", "why")


def test_all_but_the_weights_is_the_parents(tuned: tuple[Path, Ended]) -> None:
    folder, _ = tuned

    told = GgufSource(folder / "result" / "model.gguf").metadata()

    parent = GgufSource(folder / "parent.gguf").metadata()
    changed = {key for key in told | parent if told.get(key) != parent.get(key)}
    assert changed <= {"general.file_type"}


def test_what_cannot_be_learnt_is_told_as_the_last_line(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "long", context_length=16)

    ended = run_program(folder)

    assert ended.status == 1
    assert ended.lines[-1]["code"] == "invalid_request"
    assert re.search(
        "more than 16 tokens: line 1 .*, and the lines 21-30;", ended.lines[-1]["error"]
    )
    assert not ended.named("step")
    assert not (folder / "result").exists()


def test_qlora_without_its_device_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="take lora") as refused:
        finetune.check_qlora("cpu")

    assert refused.value.param == "method"


def test_steps_follow_from_epochs_and_batches() -> None:
    spec = Finetune(model="a", name="b", epochs=2, batch_size=8, accumulate=2)

    schedule = finetune.schedule_for(spec, num_examples=1001)

    assert (schedule.steps, schedule.evaluate_every, schedule.checkpoint_every) == (126, 12, 12)
    assert schedule.learning_rate == finetune.LEARNING_RATES["lora"]
    assert finetune.schedule_for(Finetune(max_steps=7, evaluate_every=3), 9).steps == 7
