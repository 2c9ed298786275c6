"""A sentence embedder's folder as a GGUF file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter, PoolingType, TokenType
from safetensors.numpy import load_file

SPACE = "\u2581"
PARTS = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
# What is added to the embeddings of words, and must be as exact.
ADDED = ("token_types.weight", "position_embd.weight")
EMBEDDINGS = {
    "word_embeddings": "token_embd",
    "token_type_embeddings": "token_types",
    "position_embeddings": "position_embd",
    "LayerNorm": "token_embd_norm",
}


def write(source: Path, path: Path, pooling: PoolingType = PoolingType.MEAN) -> Path:
    """Write it; one that ranks gets a head of random weights."""
    config = json.loads((source / "config.json").read_text())
    writer = GGUFWriter(path, "bert")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(pooling)
    _write_vocabulary(writer, (source / "vocab.txt").read_text("utf-8").split("\n"))
    for name, values in _tensors(source, config["num_hidden_layers"]).items():
        is_matrix = values.ndim == 2 and name not in ADDED
        writer.add_tensor(name, values.astype(np.float16 if is_matrix else np.float32))
    if pooling == PoolingType.RANK:
        head = np.random.default_rng(0).standard_normal((1, config["hidden_size"]))
        writer.add_tensor("cls.output.weight", head.astype(np.float32))
        writer.add_tensor("cls.output.bias", np.zeros(1, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_vocabulary(writer: GGUFWriter, words: list[str]) -> None:
    words = [word for word in words if word]
    marks = {
        word: index
        for index, word in enumerate(words)
        if len(word) > 2 and word[0] == "[" and word[-1] == "]"
    }
    texts = [
        word if word in marks else word[2:] if word.startswith("##") else SPACE + word
        for word in words
    ]
    writer.add_tokenizer_model("bert")
    writer.add_token_list(texts)
    writer.add_token_types(
        [TokenType.CONTROL if word in marks else TokenType.NORMAL for word in words]
    )
    writer.add_token_type_count(2)
    writer.add_bos_token_id(marks["[CLS]"])
    writer.add_eos_token_id(marks["[SEP]"])
    writer.add_sep_token_id(marks["[SEP]"])
    writer.add_pad_token_id(marks["[PAD]"])
    writer.add_unk_token_id(marks["[UNK]"])
    writer.add_mask_token_id(marks["[MASK]"])


def _tensors(source: Path, num_layers: int) -> dict[str, Any]:
    weights = load_file(source / "model.safetensors")
    names = {f"embeddings.{theirs}": ours for theirs, ours in EMBEDDINGS.items()}
    for layer in range(num_layers):
        names |= {
            f"encoder.layer.{layer}.{theirs}": f"blk.{layer}.{ours}"
            for theirs, ours in PARTS.items()
        }
    return {
        f"{ours}.{kind}": weights[f"{theirs}.{kind}"]
        for theirs, ours in names.items()
        for kind in ("weight", "bias")
        if f"{theirs}.{kind}" in weights
    }
