"""Models for llama.cpp made on the spot."""

from pathlib import Path
from typing import Any

from canteen.engines.llamacpp import LlamaCppEngine
from canteen.lifecycle import llamacpp_model
from canteen.lifecycle.gguf_source import GgufSource
from tests.lifecycle.tiny_model import TinyModel


def llamacpp_engine(
    folder: Path, model: TinyModel, adapters: tuple[Path, ...] = (), **options: Any
) -> LlamaCppEngine:
    """An engine over a model that is written and prepared in `folder`."""
    path = model.write(folder / "model.gguf")
    llamacpp_model.from_gguf(GgufSource(path), folder, adapters)
    return LlamaCppEngine(folder, model=str(path), **options)
