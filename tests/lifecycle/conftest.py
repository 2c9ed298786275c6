"""Tiny GGUF files made on the spot, and the real default models from the shared home."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import quantize

from canteen.core.model import ModelCard
from canteen.runtime.catalog import Catalog

MakeGguf = Callable[..., Path]


@pytest.fixture(scope="session")
def catalog(model_home: Path) -> Catalog:
    return Catalog(model_home)


@pytest.fixture(scope="session")
def default_model(catalog: Catalog) -> ModelCard:
    return catalog.get("smollm2:135m")


@pytest.fixture(scope="session")
def default_gguf(catalog: Catalog, default_model: ModelCard) -> Path:
    return catalog.blob_path(default_model.digest)


@pytest.fixture(scope="session")
def embedder_model(catalog: Catalog) -> ModelCard:
    return catalog.get("all-minilm")


@pytest.fixture
def make_gguf(tmp_path: Path) -> MakeGguf:
    """Writes a llama of one layer; keys in `own` are the architecture's, tensors may be added."""

    def make(
        architecture: str = "llama",
        own: dict[str, Any] | None = None,
        split_count: int = 0,
        extra_tensors: tuple[str, ...] = (),
    ) -> Path:
        path = tmp_path / "tiny.gguf"
        writer = GGUFWriter(path, architecture)
        writer.add_context_length(64)
        writer.add_embedding_length(32)
        for key, value in (own or {}).items():
            name = f"{architecture}.{key}"
            if isinstance(value, str):
                writer.add_string(name, value)
            else:
                writer.add_uint32(name, value)
        if split_count:
            writer.add_uint16("split.count", split_count)
        writer.add_license("mit")
        writer.add_tokenizer_model("gpt2")
        writer.add_token_list(["a", "b", "<|im_end|>", "<|endoftext|>", "<|tool|>"])
        writer.add_token_types([TokenType.NORMAL] * 2 + [TokenType.CONTROL] * 3)
        writer.add_eos_token_id(3)
        random = np.random.default_rng(0)
        matrix = random.standard_normal((64, 32)).astype(np.float32)
        for kind in (GGMLQuantizationType.Q4_1, GGMLQuantizationType.Q8_0):
            packed = quantize(matrix, kind)
            writer.add_tensor(f"blk.0.{kind.name}.weight", packed, raw_dtype=kind)
        for name in ("blk.0.attn_norm.weight", *extra_tensors):
            writer.add_tensor(name, matrix[0])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return make
