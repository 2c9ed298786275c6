"""Fitting a classifier to labelled examples: what the models say of each, and what is learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from canteen.core.asking import asked, check
from canteen.core.classifier import Classifier
from canteen.core.errors import CanteenError, InvalidRequest
from canteen.tasks.batch import each
from canteen.tasks.classify import PROMPT, ClassifyRequest, Example, check_labels, weights
from canteen.tasks.inputs import checked
from canteen.tasks.model import Model

MOST_EXAMPLES = 20_000
# Vectors are asked for by so many texts at a time.
EMBEDDED_AT_ONCE = 64


class Learned(Protocol):
    """What there was to learn, and how well it does."""

    @property
    def temperature(self) -> float: ...

    @property
    def biases(self) -> tuple[float, ...]: ...

    @property
    def weights(self) -> tuple[tuple[float, ...], ...]: ...

    @property
    def report(self) -> Mapping[str, Any]: ...


class Learner(Protocol):
    """Learns from rows of numbers, one an example, and the places of the right labels."""

    def calibrate(self, rows: Sequence[Sequence[float]], gold: Sequence[int]) -> Learned: ...

    def head(self, rows: Sequence[Sequence[float]], gold: Sequence[int]) -> Learned: ...


@dataclass(frozen=True, slots=True)
class FitRequest:
    """Labelled examples to learn from."""

    examples: tuple[Example, ...] = asked("Texts with their labels.", ())
    method: str = asked(
        "score: the language model's probabilities are calibrated; head: a linear classifier on "
        "the embedder's vectors.",
        "score",
        choices=("score", "head"),
    )
    labels: tuple[str, ...] = asked("The labels in order; or as the examples bring them.", ())
    descriptions: Mapping[str, str] | None = asked("What labels mean, by label.")

    def __post_init__(self) -> None:
        check(self)
        if not 2 <= len(self.examples) <= MOST_EXAMPLES:
            raise InvalidRequest(
                f"examples must be from 2 to {MOST_EXAMPLES:,}, not {len(self.examples)}",
                param="examples",
            )
        check_labels(self.all_labels, self.descriptions or {})
        borne = {one.label for one in self.examples}
        if odd := sorted(borne.symmetric_difference(self.all_labels)):
            why = "is none of the labels" if odd[0] in borne else "has no example"
            raise InvalidRequest(f"the label '{odd[0]}' {why}", param="examples")

    @property
    def all_labels(self) -> tuple[str, ...]:
        """Those given, or those of the examples."""
        return self.labels or tuple(dict.fromkeys(one.label for one in self.examples))


async def fit(model: Model, name: str, request: FitRequest, learner: Learner) -> Classifier:
    """Learn a classifier, which is neither stored nor dated yet; raises InvalidRequest, and what
    the models raise."""
    labels = request.all_labels
    places = {label: place for place, label in enumerate(labels)}
    gold = [places[one.label] for one in request.examples]
    if request.method == "head":
        learned = learner.head(await _vectors(model, request.examples), gold)
    else:
        learned = learner.calibrate(await _weights(model, request), gold)
    return Classifier(
        name=name,
        method="head" if request.method == "head" else "score",
        labels=labels,
        model=model.embedder if request.method == "head" else model.name,
        digest="",
        prompt_version="" if request.method == "head" else PROMPT.id,
        biases=learned.biases,
        temperature=learned.temperature,
        weights=learned.weights,
        descriptions=request.descriptions or {},
        report=learned.report,
    )


async def _weights(model: Model, request: FitRequest) -> list[Sequence[float]]:
    question = ClassifyRequest("", request.all_labels, request.descriptions)
    texts = [checked(one.text) for one in request.examples]
    rows: list[Sequence[float]] = []
    async for weighed in each(texts, partial(weights, model, question)):
        if isinstance(weighed, CanteenError):
            raise weighed
        rows.append(weighed.logits)
    return rows


async def _vectors(model: Model, examples: Sequence[Example]) -> list[Sequence[float]]:
    rows: list[Sequence[float]] = []
    for start in range(0, len(examples), EMBEDDED_AT_ONCE):
        rows += await model.embed([one.text for one in examples[start : start + EMBEDDED_AT_ONCE]])
    return rows
