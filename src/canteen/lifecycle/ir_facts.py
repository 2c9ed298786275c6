"""What a folder of OpenVINO IR tells of its model."""

import math
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

from canteen.core.errors import ModelUnsuitable
from canteen.lifecycle.description import FILE, Tokens
from canteen.lifecycle.files import read_object
from canteen.lifecycle.openvino_ir import MODEL

DEFAULT_CONTEXT_LENGTH = 2048


class IrFacts:
    """Reads config.json, generation_config.json and the graph in `folder`, each where present."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._config = read_object(folder / "config.json")
        self._generation = read_object(folder / "generation_config.json")
        self._ours = read_object(folder / FILE)

    @property
    def architecture(self) -> str:
        return str(self._config.get("model_type", "unknown"))

    @property
    def context_length(self) -> int:
        told = self._config.get("max_position_embeddings")
        return int(told or self._ours.get("context_length", DEFAULT_CONTEXT_LENGTH))

    @property
    def embedding_length(self) -> int:
        return int(self._config.get("hidden_size", 0))

    @property
    def num_parameters(self) -> int:
        return sum(self._weights.values())

    @property
    def quantization(self) -> str:
        """The element type of most weights."""
        return self._weights.most_common(1)[0][0] if self._weights else "unknown"

    def tokens(self) -> Tokens:
        """End and begin tokens: from the configuration files, else from the tokenizer."""
        import openvino_genai

        tokenizer = openvino_genai.Tokenizer(str(self._folder))
        ends = self._generation.get("eos_token_id", self._config.get("eos_token_id"))
        if ends is None:
            ends = tokenizer.get_eos_token_id()
        bos = tokenizer.get_bos_token_id()
        marked = tokenizer.encode("a", add_special_tokens=True).input_ids.data[0]
        return Tokens(
            eos_token_ids=ends if isinstance(ends, list) else [ends],
            control_token_ids=self._ours.get("control_token_ids", []),
            bos_token_id=bos if bos >= 0 else None,
            add_bos_token=len(marked) > 1 and int(marked[0]) == bos,
        )

    @cached_property
    def _weights(self) -> Counter[str]:
        """Weights by element type."""
        import openvino

        try:
            model = openvino.Core().read_model(self._folder / MODEL)
        except RuntimeError as exc:
            raise ModelUnsuitable(f"OpenVINO cannot read {MODEL}; convert the model again") from exc
        counts: Counter[str] = Counter()
        for node in model.get_ops():
            if node.get_type_name() == "Constant":
                counts[node.get_element_type().get_type_name()] += _num_weights(node)
        return counts


def _num_weights(constant: Any) -> int:
    """Its elements if it is a matrix, and not a norm, a scale or a shape."""
    sides = [int(side) for side in constant.get_output_shape(0) if side > 1]
    return math.prod(sides) if len(sides) > 1 else 0
