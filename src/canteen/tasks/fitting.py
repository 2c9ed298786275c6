"""Fitting a classifier to labelled examples: what the models say of each, and what is learned."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from canteen.core.asking import asked, check
from canteen.core.classifier import Classifier
from canteen.core.errors import CanteenError, InvalidRequest
from canteen.tasks.batch import each
from canteen.tasks.classify import (
    PROMPT,
    ClassifyRequest,
    Example,
    check_labels,
    example_of,
    weights,
)
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


# By its name; from rows of numbers, one an example, and the places of the right labels.
Learn = Callable[[str, Sequence[Sequence[float]], Sequence[int]], Learned]


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
        object.__setattr__(self, "examples", tuple(map(example_of, self.examples)))
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


async def fit(model: Model, name: str, request: FitRequest, learn: Learn) -> Classifier:
    """Learn a classifier, which is neither stored nor dated yet; raises InvalidRequest, and what
    the models raise."""
    labels = request.all_labels
    places = {label: place for place, label in enumerate(labels)}
    gold = [places[one.label] for one in request.examples]
    _check_texts(request.examples)
    by_head = request.method == "head"
    rows = await (_vectors(model, request.examples) if by_head else _weights(model, request))
    # It takes seconds of arithmetic.
    learned = await asyncio.to_thread(learn, request.method, rows, gold)
    return Classifier(
        name=name,
        method="head" if by_head else "score",
        labels=labels,
        model=model.embedder if by_head else model.name,
        digest="",
        prompt_version="" if by_head else PROMPT.id,
        biases=learned.biases,
        temperature=learned.temperature,
        weights=learned.weights,
        descriptions=request.descriptions or {},
        report=learned.report,
    )


def _check_texts(examples: Sequence[Example]) -> None:
    for index, one in enumerate(examples):
        try:
            checked(one.text)
        except InvalidRequest as error:
            raise InvalidRequest(error.message, param=f"examples.{index}.text") from None


async def _weights(model: Model, request: FitRequest) -> list[Sequence[float]]:
    question = ClassifyRequest("", request.all_labels, request.descriptions)
    texts = [one.text for one in request.examples]
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
