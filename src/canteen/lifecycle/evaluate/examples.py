"""What a data set holds, and what is answered: an example and an outcome for each kind of task."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

Task = Literal["classify", "extract", "summarize", "rewrite", "search", "embed"]
TASKS: tuple[Task, ...] = ("classify", "extract", "summarize", "rewrite", "search", "embed")


@dataclass(frozen=True, slots=True)
class Classified:
    """A text and its class; `grade` is a rating behind the class where there is one."""

    id: str
    text: str
    label: str
    grade: float | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text: `quote` is `text[start:end]`, or empty where nobody said."""

    start: int
    end: int
    type: str
    quote: str = ""


@dataclass(frozen=True, slots=True)
class Marked:
    """A text and the spans in it."""

    id: str
    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Summarized:
    """A text and a summary that a person wrote."""

    id: str
    text: str
    summary: str


@dataclass(frozen=True, slots=True)
class Corrected:
    """A text with errors, and the text without."""

    id: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Query:
    """A question, and how relevant documents are by their ids; those not named are not."""

    id: str
    text: str
    relevant: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts, and how alike people found them."""

    id: str
    first: str
    second: str
    rating: float


@dataclass(frozen=True, slots=True)
class Document:
    """What can be found."""

    id: str
    text: str


Example = Classified | Marked | Summarized | Corrected | Query | Pair


@dataclass(frozen=True, slots=True)
class Prediction:
    """A class, and the probabilities of all classes where the method gives any."""

    label: str
    probabilities: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item got no answer; it counts as an empty one."""

    message: str


# By task: Prediction; spans; the summary; the corrected text; ids of documents, best first;
# how alike the two texts are.
Outcome = Prediction | tuple[Span, ...] | str | tuple[str, ...] | float


@dataclass(frozen=True, slots=True)
class Dataset:
    """Examples of one task to answer, and what an answer may know beforehand.

    `train` is for methods that learn. `labels` are the classes or the types of spans, with
    `descriptions` of some; `documents` are what a query searches. `source` says where from.
    """

    name: str
    task: Task
    examples: tuple[Any, ...]
    train: tuple[Any, ...] = ()
    labels: tuple[str, ...] = ()
    descriptions: Mapping[str, str] = field(default_factory=dict)
    documents: tuple[Document, ...] = ()
    source: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Of the examples and documents: two data sets are alike when theirs are."""
        packed = msgspec.json.encode((self.task, self.examples, self.documents), order="sorted")
        return "sha256:" + hashlib.sha256(packed).hexdigest()

    def limited(self, count: int, seed: int = 0) -> "Dataset":
        """A sample of the examples, in their order; a larger one contains a smaller one."""
        kept = set(shuffled([one.id for one in self.examples], seed)[:count])
        return replace(self, examples=tuple(one for one in self.examples if one.id in kept))


def shuffled(ids: Sequence[str], seed: int = 0) -> list[str]:
    """The ids in an order that depends on them and the seed alone."""
    return sorted(ids, key=lambda one: hashlib.sha256(f"{seed} {one}".encode()).digest())
