"""OpenVINO's own model format: made from a GGUF, compressed, and described for the engine."""

import shutil
from pathlib import Path
from typing import Any

from canteen.core.errors import ModelUnsuitable
from canteen.lifecycle import description
from canteen.lifecycle.description import Tokens, write_json

MODEL = "openvino_model.xml"
TOKENIZER = "openvino_tokenizer.xml"
DETOKENIZER = "openvino_detokenizer.xml"
VOCABULARY = "vocabulary.json"
NO_LIMIT = 2**31 - 1


def convert(gguf: Path) -> None:
    """Write IR, tokenizer and detokenizer beside the GGUF file.

    The file must hold floats: the reader rounds the zero points of 4-bit types, which costs
    a small model a quarter of its perplexity.
    """
    import openvino_genai

    properties = {"enable_save_ov_model": True}
    try:
        openvino_genai.ContinuousBatchingPipeline(
            str(gguf), openvino_genai.SchedulerConfig(), "CPU", properties
        )
        openvino_genai.Tokenizer(str(gguf), **properties)
    except RuntimeError as exc:
        raise ModelUnsuitable(
            "the openvino engine cannot convert this GGUF; the llamacpp engine may run it: pull "
            "it again with --engine llamacpp (canteen engine install llamacpp)"
        ) from exc


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy tokenizer and detokenizer to another folder, and let no text be cut."""
    for file in source.glob("openvino_*tokenizer.*"):
        shutil.copyfile(file, target / file.name)
    _lift_limit(source / TOKENIZER, target / TOKENIZER)


def _lift_limit(source: Path, target: Path) -> None:
    """Write the tokenizer without its limit on tokens.

    The reader makes one that drops all but the newest 8,192 tokens (or so) without a word, so
    that a prompt that is too long cannot be told from one that just fits.
    """
    import openvino
    import openvino_tokenizers  # noqa: F401 - registers the operations of tokenizers

    # It holds the library that the model's nodes come from, so it must outlive them all.
    core = openvino.Core()
    _write_unlimited(core, source, target)


def _write_unlimited(core: Any, source: Path, target: Path) -> None:
    import numpy as np
    import openvino
    from openvino import opset13 as ops

    model = core.read_model(source)
    for node in model.get_ops():
        if node.get_type_name() != "Minimum":
            continue
        for number in range(2):
            told = node.input_value(number).get_node()
            if told.get_type_name() == "Constant":
                largest = np.full(tuple(told.get_output_shape(0)), NO_LIMIT, np.int32)
                node.input(number).replace_source_output(ops.constant(largest).output(0))
    openvino.serialize(model, target, target.with_suffix(".bin"))


def describe(folder: Path, context_length: int, tokens: Tokens) -> str:
    """Write what the engine reads beside the model; returns its chat template."""
    import openvino_genai

    tokenizer = openvino_genai.Tokenizer(str(folder))
    vocabulary = byte_vocabulary(tokenizer.get_vocab())
    template = str(tokenizer.chat_template or "")
    description.write_generator(folder, tokens, context_length, len(vocabulary), template)
    write_json(folder / VOCABULARY, vocabulary)
    return template


def byte_vocabulary(ids: dict[bytes, int]) -> list[str]:
    """Tokens by id, a character for each byte; ids without a token are empty."""
    vocabulary = [""] * (max(ids.values(), default=-1) + 1)
    for token, token_id in ids.items():
        vocabulary[token_id] = token.decode("latin-1")
    return vocabulary


def write_generation_config(folder: Path, tokens: Tokens) -> None:
    """What OpenVINO GenAI itself reads to know when to stop."""
    config = {"eos_token_id": list(tokens.eos_token_ids), "bos_token_id": tokens.bos_token_id}
    write_json(folder / "generation_config.json", config)


def size_bytes(folder: Path) -> int:
    """Bytes of all files in the folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
