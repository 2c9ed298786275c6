"""Cards of models that exist in tests only."""

from typing import Any

from canteen.core.model import ModelCard


def card(**fields: Any) -> ModelCard:
    """A small generator's card, with what a test says over it."""
    usual: dict[str, Any] = {
        "name": "m:latest",
        "kind": "generator",
        "digest": "sha256:" + "0" * 64,
        "engine": "echo",
        "folder": "prepared/m",
        "source": "file:m.gguf",
        "format": "gguf",
        "architecture": "llama",
        "num_parameters": 1,
        "context_length": 8,
        "size_bytes": 1,
        "quantization": "int8",
        "modified_at": "2026-01-01T00:00:00Z",
    }
    return ModelCard(**usual | fields)
