"""A classifier of the caller's own: what was learned from labelled examples, by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Method = Literal["score", "head"]


@dataclass(frozen=True, slots=True)
class Classifier:
    """Learned from examples of `labels`, with the models of these digests.

    `score`: the language model's weight of each label is divided by `temperature`, and `biases`
    are added. `head`: `weights`, shape (labels, dimensions), of a linear classifier on the
    embedder's vectors. `report` says how well it does on examples held back.
    """

    name: str
    method: Method
    labels: tuple[str, ...]
    model: str
    digest: str
    prompt_version: str
    biases: tuple[float, ...]
    temperature: float = 1.0
    weights: tuple[tuple[float, ...], ...] = ()
    descriptions: Mapping[str, str] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    created_at: str = ""
