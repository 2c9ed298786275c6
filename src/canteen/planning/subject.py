"""The model that a plan is of, whatever it was given as."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.core.model import ModelCard
from canteen.factors import models
from canteen.factors.table import find
from canteen.planning import assumed, config, gguf_table, memory, quantization
from canteen.planning.memory import Weights
from canteen.planning.quantization import Format
from canteen.planning.reading import reading
from canteen.planning.request import count
from canteen.planning.roofline import Reading
from canteen.planning.spec import ModelSpec
from canteen.planning.tensors import Tensor, num_parameters


@dataclass(frozen=True, slots=True)
class Subject:
    """A model: its shape, where that is from, and its weights if they are there already.

    `usual` is the format that is planned with unless another one is asked for; `tensors` are those
    of a real file.
    """

    spec: ModelSpec
    source: str
    usual: str = "bf16"
    weights: Weights | None = None
    tensors: tuple[Tensor, ...] = ()

    def format(self, asked: str | None) -> Format:
        """The format of the weights. Raises InvalidRequest for an unknown one."""
        if self.tensors and asked is None:
            return quantization.as_stored(self.usual)
        return quantization.weights_format(asked or self.usual, self.spec)

    def weights_in(self, asked: str | None) -> Weights:
        """The weights in it: those that are there, or those that would be made."""
        if self.weights is not None and asked is None:
            return self.weights
        return memory.weights_of(self.spec, self.format(asked))

    def reading(self, asked: str | None, kv_type: str) -> Reading:
        """What a step reads with the weights in it: of a file its own tensors."""
        tensors = self.tensors if asked is None else ()
        return reading(self.spec, self.format(asked), kv_type, tensors)


def of_file(path: Path) -> Subject:
    """A GGUF file or a config.json. Raises InvalidRequest for any other."""
    if path.suffix == ".gguf":
        read = gguf_table.read(path)
        return Subject(read.spec, f"{path.name}, its header", read.type, read.weights, read.tensors)
    try:
        told = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, ValueError) as exc:
        raise InvalidRequest(
            f"{path.name} is neither a GGUF file nor a config.json", param="model"
        ) from exc
    if not isinstance(told, dict):
        raise InvalidRequest(f"{path.name} is no config.json", param="model")
    return of_config(told, path.name)


def of_config(told: Mapping[str, Any], source: str) -> Subject:
    """A config.json by its content."""
    spec = config.from_config(told)
    return Subject(spec, source, usual=spec.dtype)


def has_shape(card: ModelCard) -> bool:
    """Whether the store knows the shape of a model, and the planner its kind."""
    if card.kind != "generator":
        return False
    try:
        return _shape(card) is not None
    except InvalidRequest:
        return False


def of_card(card: ModelCard) -> Subject:
    """A model of the store that has a shape, as it is prepared."""
    spec = _shape(card)
    assert spec is not None
    weights = Weights(card.size_bytes, card.size_bytes, "the prepared files")
    usual = "int8" if card.engine == "openvino" else "bf16"
    if card.engine == "llamacpp" and card.quantization in quantization.GGML:
        usual = card.quantization
    return Subject(replace(spec, name=card.name), "as it is in the store", usual, weights)


def _shape(card: ModelCard) -> ModelSpec | None:
    """By its config.json or the header of its GGUF, if one of them is kept."""
    if "config" in card.metadata:
        return config.from_config(card.metadata["config"])
    if "general.architecture" not in card.metadata:
        return None
    # A header does not tell whether the output is the input embedding; the count does.
    specs = [config.from_gguf(card.metadata, is_tied=is_tied) for is_tied in (True, False)]
    return min(specs, key=lambda one: abs(num_parameters(one) - card.num_parameters))


def of_name(name: str, cards: Mapping[str, ModelCard]) -> Subject:
    """A model of the store, a published one, or a count of parameters such as 7B.

    Raises InvalidRequest with the nearest names.
    """
    if count(name.removeprefix("-")) is not None and name.startswith("-"):
        raise InvalidRequest(f"no model has {name} parameters", param="model")
    number = count(name)
    if number is not None:
        return Subject(assumed.from_count(number), "a count of parameters")
    planned = {key: card for key, card in cards.items() if has_shape(card)}
    if name in planned or f"{name}:latest" in planned:
        return of_card(planned.get(name) or planned[f"{name}:latest"])
    known = find(name, [*planned, *models.names(), *models.aliases()], "model", "model")
    if known in planned:
        return of_card(planned[known])
    spec = config.from_config(models.config(known), known)
    return Subject(spec, models.source(known), usual=spec.dtype)
