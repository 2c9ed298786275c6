"""Whole models of two layers with random weights: as a GGUF, and as arithmetic in numpy."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import dequantize, quantize

EPS = 1e-5
ROPE_BASE = 10_000.0
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CONTEXT_LENGTH = 1024
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_tokens() -> list[str]:
    """A printable character for each byte, as byte-level vocabularies have them."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain}
    letters |= {byte: chr(256 + number) for number, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]


@dataclass(frozen=True)
class TinyModel:
    """A model's shape; weights follow from it. Qwen2 has biases, Qwen3 norms of heads."""

    architecture: str
    kind: GGMLQuantizationType = GGMLQuantizationType.Q8_0
    head_size: int = 32
    hidden_size: int = 64
    wide_size: int = 128
    num_heads: int = 2
    num_kv_heads: int = 1
    num_layers: int = 2
    template: str = ""
    context_length: int = CONTEXT_LENGTH

    @cached_property
    def vocabulary(self) -> list[str]:
        return [*SPECIAL, *byte_tokens(), "th"]

    @cached_property
    def _packed(self) -> dict[str, Any]:
        """Matrices as the file holds them."""
        random = np.random.default_rng(0)
        made = {}
        for name, shape in self._matrices().items():
            values = (random.standard_normal(shape) * 0.3).astype(np.float32)
            made[name] = quantize(values, self.kind)
        return made

    @cached_property
    def _vectors(self) -> dict[str, Any]:
        random = np.random.default_rng(1)
        return {
            name: (1 + 0.2 * random.standard_normal(size)).astype(np.float32)
            for name, size in self._sizes().items()
        }

    @cached_property
    def weights(self) -> dict[str, Any]:
        """What the file's bytes mean."""
        matrices = {name: dequantize(data, self.kind) for name, data in self._packed.items()}
        return {**matrices, **self._vectors}

    def _matrices(self) -> dict[str, tuple[int, int]]:
        hidden, wide = self.hidden_size, self.wide_size
        query, key = self.num_heads * self.head_size, self.num_kv_heads * self.head_size
        shapes = {"token_embd": (len(self.vocabulary), hidden)}
        for number in range(self.num_layers):
            shapes |= {
                f"blk.{number}.attn_q": (query, hidden),
                f"blk.{number}.attn_k": (key, hidden),
                f"blk.{number}.attn_v": (key, hidden),
                f"blk.{number}.attn_output": (hidden, query),
                f"blk.{number}.ffn_gate": (wide, hidden),
                f"blk.{number}.ffn_up": (wide, hidden),
                f"blk.{number}.ffn_down": (hidden, wide),
            }
        return {f"{name}.weight": shape for name, shape in shapes.items()}

    def _sizes(self) -> dict[str, int]:
        query, key = self.num_heads * self.head_size, self.num_kv_heads * self.head_size
        sizes = {"output_norm.weight": self.hidden_size}
        for number in range(self.num_layers):
            layer = f"blk.{number}"
            sizes |= {f"{layer}.attn_norm.weight": self.hidden_size}
            sizes |= {f"{layer}.ffn_norm.weight": self.hidden_size}
            if self.architecture == "qwen2":
                sizes |= {f"{layer}.attn_q.bias": query}
                sizes |= {f"{layer}.attn_{part}.bias": key for part in "kv"}
            if self.architecture == "qwen3":
                sizes |= {f"{layer}.attn_{part}_norm.weight": self.head_size for part in "qk"}
        return sizes

    def write(self, path: Path) -> Path:
        """Write the GGUF."""
        writer = GGUFWriter(path, self.architecture)
        writer.add_context_length(self.context_length)
        writer.add_embedding_length(self.hidden_size)
        writer.add_block_count(self.num_layers)
        writer.add_feed_forward_length(self.wide_size)
        writer.add_head_count(self.num_heads)
        writer.add_head_count_kv(self.num_kv_heads)
        writer.add_key_length(self.head_size)
        writer.add_value_length(self.head_size)
        writer.add_layer_norm_rms_eps(EPS)
        writer.add_rope_freq_base(ROPE_BASE)
        writer.add_rope_dimension_count(self.head_size)
        writer.add_file_type(7)
        self._write_vocabulary(writer)
        for name, data in self._packed.items():
            writer.add_tensor(name, data, raw_dtype=self.kind)
        for name, data in self._vectors.items():
            writer.add_tensor(name, data)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    def _write_vocabulary(self, writer: GGUFWriter) -> None:
        num_plain = len(self.vocabulary) - len(SPECIAL)
        writer.add_vocab_size(len(self.vocabulary))
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("smollm")
        writer.add_token_list(self.vocabulary)
        writer.add_token_types([TokenType.CONTROL] * len(SPECIAL) + [TokenType.NORMAL] * num_plain)
        writer.add_token_merges(["t h"])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)
        writer.add_pad_token_id(2)
        writer.add_add_bos_token(False)
        if self.template:
            writer.add_chat_template(self.template)

    def logits(self, ids: list[int]) -> Any:
        """Logits after each of the tokens, shape (tokens, vocabulary)."""
        hidden = self.weights["token_embd.weight"][ids]
        for number in range(self.num_layers):
            hidden = hidden + self._attend(f"blk.{number}", hidden)
            hidden = hidden + self._think(f"blk.{number}", hidden)
        return self._norm("output_norm", hidden) @ self.weights["token_embd.weight"].T

    def _attend(self, layer: str, hidden: Any) -> Any:
        normal = self._norm(f"{layer}.attn_norm", hidden)
        query, key, value = (self._heads(f"{layer}.attn_{part}", normal) for part in "qkv")
        if self.architecture == "qwen3":
            query = self._norm(f"{layer}.attn_q_norm", query)
            key = self._norm(f"{layer}.attn_k_norm", key)
        query, key = self._turned(query), self._turned(key)
        ahead = np.triu(np.full((len(hidden), len(hidden)), -np.inf), 1)
        attended = []
        for head in range(self.num_heads):
            shared = head * self.num_kv_heads // self.num_heads
            scores = query[:, head] @ key[:, shared].T / np.sqrt(self.head_size) + ahead
            shares = np.exp(scores - scores.max(axis=1, keepdims=True))
            attended.append(shares / shares.sum(axis=1, keepdims=True) @ value[:, shared])
        return np.concatenate(attended, axis=1) @ self.weights[f"{layer}.attn_output.weight"].T

    def _think(self, layer: str, hidden: Any) -> Any:
        normal = self._norm(f"{layer}.ffn_norm", hidden)
        gate = normal @ self.weights[f"{layer}.ffn_gate.weight"].T
        up = normal @ self.weights[f"{layer}.ffn_up.weight"].T
        return (gate / (1 + np.exp(-gate)) * up) @ self.weights[f"{layer}.ffn_down.weight"].T

    def _heads(self, name: str, hidden: Any) -> Any:
        """(tokens, heads, head)."""
        made = hidden @ self.weights[f"{name}.weight"].T + self.weights.get(f"{name}.bias", 0)
        return made.reshape(len(hidden), -1, self.head_size)

    def _norm(self, name: str, hidden: Any) -> Any:
        size = np.sqrt((hidden**2).mean(axis=-1, keepdims=True) + EPS)
        return hidden / size * self.weights[f"{name}.weight"]

    def _turned(self, heads: Any) -> Any:
        """Rotary positions: llama turns neighbours, the others turn halves."""
        half = self.head_size // 2
        angles = np.outer(np.arange(len(heads)), ROPE_BASE ** (-np.arange(half) / half))[:, None]
        cos, sin = np.cos(angles), np.sin(angles)
        turned = np.empty_like(heads)
        is_llama = self.architecture == "llama"
        first, second = (
            (np.s_[..., 0::2], np.s_[..., 1::2])
            if is_llama
            else (np.s_[..., :half], np.s_[..., half:])
        )
        turned[first] = heads[first] * cos - heads[second] * sin
        turned[second] = heads[second] * cos + heads[first] * sin
        return turned
