"""Classification: which of the caller's labels a text bears, with a probability for each."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from canteen.core.asking import asked, check
from canteen.core.classifier import Classifier
from canteen.core.errors import ContextTooLong, InvalidRequest
from canteen.core.generation import Message
from canteen.tasks import heads
from canteen.tasks.choosing import Question, Weighed, softmax, weigh
from canteen.tasks.inputs import checked
from canteen.tasks.model import Model
from canteen.tasks.template import Template

PROMPT = Template(
    "classify",
    1,
    system="""\
Categories: {% for label in labels -%}
{{ label }}{% if descriptions[label] %} ({{ descriptions[label] }}){% endif %}
{{- ", " if not loop.last else "." }}
{%- endfor %}""",
    user="Text: {{ text }}\n\nThe category of this text, in one word:",
)
ONE_OF_MANY = Template(
    "classify-each",
    1,
    user="""\
Text: {{ text }}

Is the category of this text "{{ label }}"{% if description %} ({{ description }}){% endif %}? \
Answer yes or no.""",
)
ABOUT = Template(
    "classify-meaning",
    1,
    user="{{ label ~ ': ' ~ description if description else 'This text is about ' ~ label ~ '.' }}",
)
# By what the likeness of meanings is multiplied: it gave the right labels of BBC news and of film
# reviews the best likelihoods, with all-minilm.
SHARPNESS = 30.0
MOST_LABELS = 256
MOST_EXAMPLES = 64
YES_OR_NO = ("yes", "no")


@dataclass(frozen=True, slots=True)
class Example:
    """A text and the label that it bears."""

    text: str
    label: str


@dataclass(frozen=True, slots=True)
class ClassifyRequest:
    """A text and the labels to choose from, by themselves or as a classifier learned them."""

    text: str
    labels: tuple[str, ...] = asked("Labels to choose from, 2 to 256.", (), flag="--label")
    descriptions: Mapping[str, str] | None = asked("What labels mean, by label.")
    examples: tuple[Example, ...] | None = asked("A few texts with their labels, to be told.")
    classifier: str = asked("A classifier that was fitted to examples, in place of labels.", "")
    method: str | None = asked(
        "embedding: the label whose meaning is nearest to the text's; score: what the language "
        "model finds likely. Or embedding, but score with examples or several labels.",
        choices=("embedding", "score"),
    )
    is_multi: bool = asked("A text may bear several labels or none.", False, flag="--multi")
    threshold: float | None = asked(
        "The least probability of a label, below which it is none; or 0, and 0.5 with several.",
        least=0,
        most=1,
    )
    debias: bool = asked("Take off what the model prefers whatever it reads.", True)

    def __post_init__(self) -> None:
        check(self)
        examples = tuple(map(example_of, self.examples or ()))
        object.__setattr__(self, "examples", examples or None)
        own = (self.labels, self.is_multi, self.examples, self.method, self.descriptions)
        if self.classifier and (any(own) or not self.debias):
            raise InvalidRequest(
                "a classifier has labels and a method of its own", param="classifier"
            )
        if not isinstance(self.descriptions or {}, Mapping):
            raise InvalidRequest("descriptions are an object, by label", param="descriptions")
        if self.method == "embedding" and not self.needs_embedder:
            raise InvalidRequest(
                "examples and several labels need the method score", param="method"
            )
        if not self.classifier:
            check_labels(self.labels, self.descriptions or {}, 1 if self.is_multi else 2)
            _check_examples(self.examples or (), self.labels)

    @property
    def prompt_version(self) -> str:
        """What asks for the label; of a classifier, its name."""
        if self.classifier:
            return f"classifier/{self.classifier}"
        if self.needs_embedder:
            return ABOUT.id
        return ONE_OF_MANY.id if self.is_multi else PROMPT.id

    @property
    def needs_embedder(self) -> bool:
        """Whether labels are told by their meanings."""
        plain = not (self.classifier or self.is_multi or self.examples)
        return plain and self.method != "score"


@dataclass(frozen=True, slots=True)
class Classified:
    """The likeliest label, or None where none is likely enough, and all probabilities. `labels`
    are those above the threshold, likeliest first. `label_mass` is what the model gave all
    labels together, of all that it might have said; None where embeddings decided."""

    label: str | None
    probability: float
    labels: tuple[str, ...]
    probabilities: dict[str, float]
    label_mass: float | None
    method: str


async def classify(model: Model, request: ClassifyRequest) -> Classified:
    """Sort a text; raises InvalidRequest."""
    text = checked(request.text)
    if request.is_multi:
        return await _each(model, request, text)
    if request.classifier:
        classifier = await model.once(
            ("classifier", request.classifier),
            lambda: asyncio.to_thread(model.classifier, request.classifier),
        )
        return await _fitted(model, classifier, request, text)
    if request.needs_embedder:
        shares = softmax(await _likeness(model, request, text))
        return _single(request, request.labels, shares, None, "embedding")
    weighed = await weights(model, request, text)
    return _single(request, request.labels, weighed.probabilities, weighed.label_mass, "score")


async def weights(model: Model, request: ClassifyRequest, text: str) -> Weighed:
    """How much the language model is for each label, before any calibration."""
    question = _question(request.labels, request.descriptions or {}, request.examples or ())
    (weighed,) = await weigh(model, [question], text, debias=request.debias)
    return weighed


def told(result: Classified) -> str:
    """The label and its probability."""
    return f"{', '.join(result.labels) or '-'}\t{result.probability:.3f}"


def question(
    labels: Sequence[str], descriptions: Mapping[str, str], text: str
) -> tuple[Message, ...]:
    """The chat whose answer is the label, as method score asks it."""
    return _question(labels, descriptions, ()).ask(labels, text)


def check_labels(labels: Sequence[str], descriptions: Mapping[str, str], least: int = 2) -> None:
    """Raises InvalidRequest, which names the field."""
    if not least <= len(labels) <= MOST_LABELS:
        raise InvalidRequest(
            f"labels must be from {least} to {MOST_LABELS}, not {len(labels)}", param="labels"
        )
    if any(not label.strip() for label in labels):
        raise InvalidRequest("a label is empty", param="labels")
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        raise InvalidRequest(f"the label '{twice[0]}' stands there twice", param="labels")
    if unknown := sorted(set(descriptions) - set(labels)):
        raise InvalidRequest(f"'{unknown[0]}' is described and no label", param="descriptions")


def example_of(given: Any) -> Example:
    """An example, or a mapping that has its fields; raises InvalidRequest."""
    if isinstance(given, Example):
        return given
    try:
        text, label = given["text"], given["label"]
    except (KeyError, TypeError):
        text = label = None
    if not (isinstance(text, str) and isinstance(label, str)):
        raise InvalidRequest("an example has a text and a label", param="examples")
    return Example(text, label)


def _check_examples(examples: Sequence[Example], labels: Sequence[str]) -> None:
    if len(examples) > MOST_EXAMPLES:
        raise InvalidRequest(
            f"examples are read before each text, so {MOST_EXAMPLES} are the most; "
            "fit a classifier to more",
            param="examples",
        )
    for index, example in enumerate(examples):
        if example.label not in labels:
            raise InvalidRequest(
                f"the label of example {index}, '{example.label}', is none of the labels",
                param=f"examples.{index}.label",
            )


def _question(
    labels: Sequence[str], descriptions: Mapping[str, str], examples: Sequence[Example]
) -> Question:
    said = {label: descriptions.get(label, "") for label in labels}

    def ask(order: Sequence[str], text: str) -> tuple[Message, ...]:
        system, question = PROMPT.messages(labels=order, descriptions=said, text=text)
        return system, *_told(examples), question

    key = ("classify", tuple(labels), tuple(said.values()), tuple(examples))
    return Question(tuple(labels), ask, key)


def _told(examples: Sequence[Example]) -> Iterator[Message]:
    """Examples as turns of the chat that went before."""
    for example in examples:
        *_, question = PROMPT.messages(labels=(), descriptions={}, text=example.text)
        yield question
        yield Message("assistant", example.label)


async def _likeness(model: Model, request: ClassifyRequest, text: str) -> list[float]:
    """How near the text's meaning is to each label's, as logits."""
    told = request.descriptions or {}
    meanings = [
        ABOUT.messages(label=label, description=told.get(label, ""))[0].content
        for label in request.labels
    ]
    vectors = await model.once(("meanings", *meanings), lambda: _meanings(model, meanings))
    (vector,) = await model.embed([text])
    return [SHARPNESS * heads.dot(vector, one) for one in vectors]


async def _meanings(model: Model, meanings: Sequence[str]) -> Sequence[Sequence[float]]:
    try:
        return await model.embed(meanings, truncate=False)
    except ContextTooLong as error:
        raise InvalidRequest(
            f"a label with its description is longer than the {error.context_length} tokens that "
            "the embedding model reads; shorten it, or ask for method score",
            param="labels",
        ) from None


async def _each(model: Model, request: ClassifyRequest, text: str) -> Classified:
    """Each label by itself: is it true of the text?"""
    descriptions = request.descriptions or {}

    def question(label: str) -> Question:
        about = descriptions.get(label, "")

        def ask(order: Sequence[str], text: str) -> tuple[Message, ...]:
            return ONE_OF_MANY.messages(text=text, label=label, description=about)

        return Question(YES_OR_NO, ask, ("classify-each", label, about), has_order=False)

    questions = [question(label) for label in request.labels]
    found = await weigh(model, questions, text, debias=request.debias)
    shares = {label: one.probabilities[0] for label, one in zip(request.labels, found, strict=True)}
    least = 0.5 if request.threshold is None else request.threshold
    borne = sorted((label for label in shares if shares[label] >= least), key=lambda x: -shares[x])
    mass = sum(one.label_mass for one in found) / len(found)
    first = borne[0] if borne else None
    likeliest = max(shares.values())
    return Classified(first, likeliest, tuple(borne), shares, mass, "score")


async def _fitted(
    model: Model, classifier: Classifier, request: ClassifyRequest, text: str
) -> Classified:
    if classifier.method == "head":
        (vector,) = await model.embed([text])
        shares = heads.probabilities(classifier, vector)
        return _single(request, classifier.labels, shares, None, "head")
    if classifier.prompt_version != PROMPT.id:
        raise InvalidRequest(
            f"the prompt has changed since classifier '{classifier.name}' was fitted; fit it again",
            param="classifier",
        )
    asked_for = ClassifyRequest(
        text, classifier.labels, classifier.descriptions or None, method="score"
    )
    weighed = await weights(model, asked_for, text)
    shares = softmax(
        [
            logit / classifier.temperature + bias
            for logit, bias in zip(weighed.logits, classifier.biases, strict=True)
        ]
    )
    return _single(request, classifier.labels, shares, weighed.label_mass, "score")


def _single(
    request: ClassifyRequest,
    labels: Sequence[str],
    shares: Sequence[float],
    label_mass: float | None,
    method: str,
) -> Classified:
    by_label = dict(zip(labels, shares, strict=True))
    likeliest = max(by_label, key=by_label.__getitem__)
    is_likely = by_label[likeliest] >= (request.threshold or 0.0)
    label = likeliest if is_likely else None
    borne = (likeliest,) if is_likely else ()
    return Classified(label, by_label[likeliest], borne, by_label, label_mass, method)
