"""A sentence embedder of the BERT family as an OpenVINO graph: tokens in, unit vectors out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

MASKED = -10_000.0


@dataclass(frozen=True, slots=True)
class BertConfig:
    """The numbers of a BERT's config.json that shape the graph."""

    num_hidden_layers: int
    num_attention_heads: int
    hidden_size: int
    layer_norm_eps: float

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads


class BertGraph:
    """Builds the graph from weights named as `transformers` names a BertModel's."""

    def __init__(self, config: BertConfig, weights: Mapping[str, Any]) -> None:
        self._config = config
        self._weights = weights

    def build(self) -> Any:
        """Inputs `input_ids` and `attention_mask` (batch, tokens); output `embeddings`.

        Vectors are the mean over a text's tokens, of length 1, shape (batch, hidden_size).
        """
        ids = _input("input_ids")
        mask = _input("attention_mask")
        float_mask = ops.convert(mask, "f32")
        hidden = self._embed(ids)
        bias = _attention_bias(float_mask)
        for number in range(self._config.num_hidden_layers):
            hidden = self._layer(f"encoder.layer.{number}", hidden, bias)
        vectors = ops.normalize_l2(_mean(hidden, float_mask), _axes(1), 1e-12, "max")
        vectors.output(0).set_names({"embeddings"})
        return openvino.Model([vectors], [ids, mask], "embedder")

    def _embed(self, ids: Any) -> Any:
        words = self._gather("word_embeddings", ids)
        num_tokens = ops.gather(ops.shape_of(ids), _whole(1), _whole(0))
        places = self._gather(
            "position_embeddings", ops.range(_whole(0), num_tokens, _whole(1), "i64")
        )
        kind = self._constant("embeddings.token_type_embeddings.weight", slice(0, 1))
        return self._norm("embeddings.LayerNorm", ops.add(ops.add(words, places), kind))

    def _layer(self, name: str, hidden: Any, bias: Any) -> Any:
        heads = [
            self._heads(f"{name}.attention.self.{part}", hidden)
            for part in ("query", "key", "value")
        ]
        attended = ops.scaled_dot_product_attention(*heads, bias)
        size = self._config.hidden_size
        merged = ops.reshape(ops.transpose(attended, _axes(0, 2, 1, 3)), _axes(0, 0, size), True)
        projected = self._linear(f"{name}.attention.output.dense", merged)
        hidden = self._norm(f"{name}.attention.output.LayerNorm", ops.add(hidden, projected))
        wide = ops.gelu(self._linear(f"{name}.intermediate.dense", hidden), "erf")
        narrow = self._linear(f"{name}.output.dense", wide)
        return self._norm(f"{name}.output.LayerNorm", ops.add(hidden, narrow))

    def _heads(self, name: str, hidden: Any) -> Any:
        """(batch, tokens, hidden) to (batch, heads, tokens, head)."""
        shape = _axes(0, 0, self._config.num_attention_heads, self._config.head_size)
        split = ops.reshape(self._linear(name, hidden), shape, True)
        return ops.transpose(split, _axes(0, 2, 1, 3))

    def _linear(self, name: str, hidden: Any) -> Any:
        product = ops.matmul(hidden, self._constant(f"{name}.weight"), False, True)
        product.set_friendly_name(name)
        return ops.add(product, self._constant(f"{name}.bias"))

    def _norm(self, name: str, hidden: Any) -> Any:
        eps = self._config.layer_norm_eps
        normal = ops.mvn(hidden, _axes(-1), True, eps, "inside_sqrt")
        scaled = ops.multiply(normal, self._constant(f"{name}.weight"))
        return ops.add(scaled, self._constant(f"{name}.bias"))

    def _gather(self, table: str, ids: Any) -> Any:
        return ops.gather(self._constant(f"embeddings.{table}.weight"), ids, _whole(0))

    def _constant(self, name: str, rows: slice = slice(None)) -> Any:
        return ops.constant(self._weights[name].astype(np.float32)[rows])


def _input(name: str) -> Any:
    parameter = ops.parameter([-1, -1], np.int64, name)
    parameter.output(0).set_names({name})
    return parameter


def _attention_bias(mask: Any) -> Any:
    """0 where a token may be attended to, (batch, 1, 1, tokens)."""
    hidden = ops.multiply(ops.subtract(mask, _number(1.0)), _number(-MASKED))
    return ops.unsqueeze(hidden, _axes(1, 2))


def _mean(hidden: Any, mask: Any) -> Any:
    weights = ops.unsqueeze(mask, _axes(2))
    total = ops.reduce_sum(ops.multiply(hidden, weights), _axes(1))
    return ops.divide(total, ops.reduce_sum(weights, _axes(1)))


def _axes(*values: int) -> Any:
    return ops.constant(np.array(values, np.int64))


def _whole(value: int) -> Any:
    return ops.constant(np.int64(value))


def _number(value: float) -> Any:
    return ops.constant(np.float32(value))
