"""A LoRA adapter is taken for the model that it fits, and refused for any other."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from canteen.core.errors import ModelUnsuitable
from canteen.core.model import Prepared
from canteen.lifecycle.prepare import Wanted, prepare
from tests.engines import tiny_llama

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    prepare(tiny_llama.write(folder / "source"), folder / "out", lambda _: None)
    return folder / "out"


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return tiny_llama.write_adapter(tmp_path / "adapter", rank=4)


def prepared(adapter: Path, model: Path) -> Prepared:
    return prepare(adapter, adapter.parent / "out", lambda _: None, Wanted(model=model))


def test_it_is_taken_as_it_is_with_what_its_model_is(adapter: Path, model: Path) -> None:
    (adapter / "optimizer.pt").write_bytes(b"of its training")

    made = prepared(adapter, model)

    assert (made.kind, made.engine, made.format) == ("generator", "vllm", "lora")
    assert (made.architecture, made.quantization) == ("llama", "F32")
    assert made.context_length == tiny_llama.CONTEXT_LENGTH
    assert made.metadata == {"lora.rank": 4, "lora.alpha": 8}
    out = adapter.parent / "out"
    assert {file.name for file in out.iterdir()} == {CONFIG, WEIGHTS}
    assert made.size_bytes == sum(file.stat().st_size for file in out.iterdir())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_peft_writes_of_all_linear_layers_is_taken(tmp_path: Path, model: Path) -> None:
    # They take seconds to load, and only this asks for them.
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig.from_pretrained(model)
    wanted = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    get_peft_model(LlamaForCausalLM(config), wanted).save_pretrained(str(tmp_path / "made"))

    made = prepared(tmp_path / "made", model)

    assert made.metadata["lora.rank"] == 8
    assert made.num_parameters > 0


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_folder_that_is_no_adapter_is_refused(adapter: Path, model: Path, name: str) -> None:
    (adapter / name).unlink()

    with pytest.raises(ModelUnsuitable, match=f"has no {name}; it is to be a folder as PEFT's"):
        prepared(adapter, model)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"peft_type": "IA3"}, "of the kind 'IA3'"),
        ({"use_dora": True}, "made with use_dora"),
        ({"bias": "all"}, "made with bias"),
        ({"modules_to_save": ["lm_head"]}, "made with modules_to_save"),
        ({"init_lora_weights": "pissa"}, "made with init_lora_weights"),
        ({"r": 0}, "no rank 'r'"),
        ({"rank_pattern": {"q_proj": 513}}, "rank is 513, and can be 512 at most"),
    ],
)
def test_one_that_cannot_be_put_on_is_refused(
    adapter: Path, model: Path, said: dict[str, Any], why: str
) -> None:
    config = json.loads((adapter / CONFIG).read_text())
    (adapter / CONFIG).write_text(json.dumps(config | said))

    with pytest.raises(ModelUnsuitable, match=why):
        prepared(adapter, model)


Weights = dict[str, Any]
FIRST = "base_model.model.model.layers.0.self_attn.q_proj"


def of_more_layers(weights: Weights) -> Weights:
    return {name.replace("layers.1", "layers.30"): one for name, one in weights.items()}


def of_a_wider_model(weights: Weights) -> Weights:
    wider = np.zeros((4, tiny_llama.HIDDEN * 2), np.float32)
    return weights | {f"{FIRST}.lora_A.weight": wider}


def with_one_matrix_only(weights: Weights) -> Weights:
    return {name: one for name, one in weights.items() if name != f"{FIRST}.lora_B.weight"}


def with_embeddings(weights: Weights) -> Weights:
    name = "base_model.model.model.embed_tokens.lora_embedding_A"
    return weights | {name: np.zeros((4, tiny_llama.VOCAB_SIZE), np.float32)}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (of_more_layers, "it changes model.layers.30.* which this one has not"),
        (of_a_wider_model, "q_proj as one of 256 inputs and 128 outputs, which it is not"),
        (with_one_matrix_only, "q_proj.lora_A.weight, which is not one of two matrices"),
        (with_embeddings, "embed_tokens.lora_embedding_A, which is not one of two matrices"),
        (lambda _: {}, "there is nothing in adapter_model.safetensors"),
    ],
)
def test_one_of_another_model_is_refused(
    adapter: Path, model: Path, change: Callable[[Weights], Weights], why: str
) -> None:
    save_file(change(load_file(adapter / WEIGHTS)), adapter / WEIGHTS)

    with pytest.raises(ModelUnsuitable, match=why):
        prepared(adapter, model)


def test_a_damaged_one_is_refused(adapter: Path, model: Path) -> None:
    (adapter / WEIGHTS).write_bytes(b"cut short")

    with pytest.raises(ModelUnsuitable, match="is damaged"):
        prepared(adapter, model)


def test_one_without_a_model_is_asked_for_its_model(adapter: Path) -> None:
    with pytest.raises(ModelUnsuitable, match="--adapter-of MODEL"):
        prepare(adapter, adapter.parent / "out", lambda _: None)
