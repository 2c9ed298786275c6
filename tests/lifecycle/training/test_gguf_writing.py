"""What is written is what was trained: weights, vocabulary and template."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino_genai
import pytest
import torch

from canteen.lifecycle import openvino_ir
from canteen.lifecycle.gguf_source import GgufSource
from canteen.lifecycle.perplexity import EXACT, quality_text
from canteen.lifecycle.prepare import prepare
from canteen.lifecycle.training import gguf_writing, tokenizer

VOCAB_SIZE = 400


@pytest.fixture(scope="module")
def written(make_llama: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Path]:
    """A model, its tokenizer, and the file of both."""
    path = tmp_path_factory.mktemp("written") / "result" / "model.gguf"
    cutter = tokenizer.train([quality_text()], VOCAB_SIZE)
    model = make_llama(VOCAB_SIZE)
    gguf_writing.write(model, cutter, path, "tiny:latest")
    return model, cutter, path


def test_a_converted_model_computes_what_was_trained(written: tuple[Any, Any, Path]) -> None:
    model, cutter, path = written
    ids = np.array([cutter.encode("It rained, and nobody went out.").ids], np.int64)

    openvino_ir.convert(path)
    compiled = openvino.Core().compile_model(path.with_name(openvino_ir.MODEL), "CPU", EXACT)
    found = compiled(
        {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "position_ids": np.arange(ids.shape[1], dtype=np.int64)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
    )["logits"]

    with torch.no_grad():
        expected = model(torch.from_numpy(ids)).logits.numpy()
    # Matrices are rounded to 11 bits.
    assert np.abs(found - expected).max() < 3e-3 * np.abs(expected).max()


def test_a_written_model_is_prepared_and_goes_on_with_a_text(
    written: tuple[Any, Any, Path], tmp_path: Path
) -> None:
    prepared = prepare(written[2], tmp_path, lambda progress: None)
    pipeline = openvino_genai.LLMPipeline(str(tmp_path), "CPU")
    prompt = pipeline.get_tokenizer().apply_chat_template(
        [
            {"role": "user", "content": "It rained."},
            {"role": "assistant", "content": " It poured."},
            {"role": "user", "content": "They went"},
        ],
        add_generation_prompt=True,
    )
    text = pipeline.generate(prompt, max_new_tokens=8, ignore_eos=True, apply_chat_template=False)

    assert prepared.architecture == "llama"
    assert prepared.template == tokenizer.CHAT_TEMPLATE
    assert prepared.num_parameters == sum(one.numel() for one in written[0].parameters())
    assert prompt == "It rained.\n It poured.\nThey went"
    assert text


def test_the_file_says_what_ends_a_text(written: tuple[Any, Any, Path]) -> None:
    source = GgufSource(written[2])

    assert source.value("general.name") == "tiny:latest"
    assert source.end_token_ids()[0] == tokenizer.END_ID
    assert source.control_token_ids() == [0, 1, 2]
    assert source.value("tokenizer.ggml.add_bos_token") is False
    assert source.quantization == "F16"
