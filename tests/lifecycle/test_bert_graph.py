"""The embedder's graph against the same arithmetic written out in numpy."""

from math import erf
from typing import Any

import numpy as np
import openvino
import pytest

from canteen.lifecycle.bert_graph import BertConfig, BertGraph

CONFIG = BertConfig(num_hidden_layers=2, num_attention_heads=2, hidden_size=8, layer_norm_eps=1e-12)
WIDE = 16


def make_weights() -> dict[str, Any]:
    random = np.random.default_rng(0)
    size = CONFIG.hidden_size
    shapes = {
        "embeddings.word_embeddings.weight": (30, size),
        "embeddings.position_embeddings.weight": (12, size),
        "embeddings.token_type_embeddings.weight": (2, size),
        **norm("embeddings.LayerNorm"),
    }
    for number in range(CONFIG.num_hidden_layers):
        layer = f"encoder.layer.{number}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= linear(f"{layer}.attention.{part}", size, size)
        shapes |= linear(f"{layer}.intermediate.dense", size, WIDE)
        shapes |= linear(f"{layer}.output.dense", WIDE, size)
        shapes |= norm(f"{layer}.attention.output.LayerNorm") | norm(f"{layer}.output.LayerNorm")
    return {name: random.standard_normal(shape) for name, shape in shapes.items()}


def linear(name: str, given: int, made: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (made, given), f"{name}.bias": (made,)}


def norm(name: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (CONFIG.hidden_size,), f"{name}.bias": (CONFIG.hidden_size,)}


class Arithmetic:
    """One text at a time, without padding."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self.weights = weights

    def vector(self, ids: list[int]) -> Any:
        w = self.weights
        hidden = (
            w["embeddings.word_embeddings.weight"][ids]
            + w["embeddings.position_embeddings.weight"][: len(ids)]
            + w["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = self.norm("embeddings.LayerNorm", hidden)
        for number in range(CONFIG.num_hidden_layers):
            hidden = self.layer(f"encoder.layer.{number}", hidden)
        mean = hidden.mean(axis=0)
        return mean / np.linalg.norm(mean)

    def layer(self, name: str, hidden: Any) -> Any:
        query, key, value = (
            self.linear(f"{name}.attention.self.{part}", hidden)
            for part in ("query", "key", "value")
        )
        heads = []
        for start in range(0, CONFIG.hidden_size, CONFIG.head_size):
            part = slice(start, start + CONFIG.head_size)
            scores = query[:, part] @ key[:, part].T / np.sqrt(CONFIG.head_size)
            weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
            heads.append(weights @ value[:, part])
        attended = self.linear(f"{name}.attention.output.dense", np.concatenate(heads, axis=1))
        hidden = self.norm(f"{name}.attention.output.LayerNorm", hidden + attended)
        wide = self.linear(f"{name}.intermediate.dense", hidden)
        wide = wide * 0.5 * (1 + np.vectorize(erf)(wide / np.sqrt(2)))
        return self.norm(
            f"{name}.output.LayerNorm", hidden + self.linear(f"{name}.output.dense", wide)
        )

    def linear(self, name: str, hidden: Any) -> Any:
        return hidden @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, name: str, hidden: Any) -> Any:
        normal = (hidden - hidden.mean(axis=1, keepdims=True)) / hidden.std(axis=1, keepdims=True)
        return normal * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


@pytest.mark.parametrize("texts", [[[3, 4, 5]], [[1], [2, 7, 7, 29, 0], [9, 8]]])
def test_the_graph_computes_what_the_arithmetic_says_whatever_the_padding(
    texts: list[list[int]],
) -> None:
    weights = make_weights()
    model = BertGraph(CONFIG, weights).build()
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ids = np.zeros((len(texts), 7), np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1

    vectors = compiled({"input_ids": ids, "attention_mask": mask})["embeddings"]

    expected = [Arithmetic(weights).vector(text) for text in texts]
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
