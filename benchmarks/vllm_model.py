"""A model for measurements of speed: a real shape, weights that vLLM makes up, a tokenizer in which
every id is a text, so that no answer is empty. It is of no use for quality."""

import json
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from canteen.bench.load import SENTENCES
from canteen.engines.detokenizing import SAMPLE

CONTEXT_LENGTH = 8192
LLAMA_8B: dict[str, Any] = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
}
TINY: dict[str, Any] = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 256,
    "vocab_size": 1024,
}
END = "<|end|>"
TEMPLATE = "{% for m in messages %}{{ m.role }} {{ m.content }}\n{% endfor %}assistant"


def write(folder: Path, shape: dict[str, Any]) -> Path:
    """Write a model of a shape, whose one tensor stands for weights that are never read."""
    folder.mkdir(parents=True, exist_ok=True)
    _tokenizer(shape["vocab_size"]).save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": TEMPLATE}
    (folder / "config.json").write_text(json.dumps(config(shape)))
    (folder / "tokenizer_config.json").write_text(json.dumps(told | {"eos_token": END}))
    save_file({"never.read": np.zeros(1, np.float32)}, folder / "model.safetensors")
    return folder


def config(shape: Mapping[str, Any]) -> dict[str, Any]:
    """The config.json of a shape."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "max_position_embeddings": CONTEXT_LENGTH,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "bos_token_id": 0,
        "eos_token_id": 0,
        **shape,
    }


def _tokenizer(vocab_size: int) -> Tokenizer:
    splitting = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    vocab: dict[str, int] = {END: 0}
    for piece in _pieces(splitting):
        if len(vocab) == vocab_size:
            break
        vocab.setdefault(piece, len(vocab))
    made = Tokenizer(models.WordLevel(vocab, unk_token=END))
    made.pre_tokenizer = splitting
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([END])
    return made


def _pieces(splitting: Any) -> Iterator[str]:
    """Bytes, what the prompts are of, and then as many as are wanted."""
    yield from sorted(pre_tokenizers.ByteLevel.alphabet())
    for text in (SAMPLE, TEMPLATE, "user system assistant", " " + " ".join(SENTENCES), *SENTENCES):
        for piece, _ in splitting.pre_tokenize_str(text):
            yield piece
    for number in count():
        yield f"\u0120w{number}"
