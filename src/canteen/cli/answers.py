"""Examples of data sets put to the tasks, and the tasks' results as outcomes to be judged."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from math import fsum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from canteen.core.errors import (
    CanteenError,
    ClassifierNotFound,
    DeadlineExceeded,
    InvalidOutput,
    InvalidRequest,
    ModelNotFound,
)
from canteen.lifecycle.evaluate.evaluation import Ask
from canteen.lifecycle.evaluate.examples import (
    Dataset,
    Failure,
    Outcome,
    Prediction,
    Span,
    Task,
)
from canteen.tasks.batch import each
from canteen.tasks.documents import Document
from canteen.tasks.doing import do
from canteen.tasks.indexes import Index, IndexCard, Indexes
from canteen.tasks.indexes.index import MOST_HITS
from canteen.tasks.indexing import TEXTS_AT_ONCE, Source, add
from canteen.tasks.model import Model
from canteen.tasks.searching import Searched, SearchRequest, search
from canteen.tasks.table import TASKS

# What is wrong with one item and not with all of them.
_OF_AN_ITEM = (InvalidRequest, InvalidOutput, DeadlineExceeded)
_OF_ALL = (ModelNotFound, ClassifierNotFound)

# Hears of each answer as it comes.
Tell = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Way:
    """How examples are put to a task of the table: with which options, unless the caller has
    others, which of an example's texts, and what of the result is the outcome."""

    options: Callable[[Dataset], Mapping[str, Any]]
    text: Callable[[Any], str]
    outcome: Callable[[Any], Outcome]


def _labels(dataset: Dataset) -> Mapping[str, Any]:
    described = {name: about for name, about in dataset.descriptions.items() if about}
    return {"labels": tuple(dataset.labels), "descriptions": described or None}


def _types(dataset: Dataset) -> Mapping[str, Any]:
    return {"types": {name: dataset.descriptions.get(name, "") for name in dataset.labels}}


def _spans(result: Any) -> tuple[Span, ...]:
    return tuple(
        Span(one.start, one.end, one.type, one.quote)
        for one in result.found
        if one.start is not None
    )


WAYS: Mapping[Task, Way] = {
    "classify": Way(
        _labels, lambda one: one.text, lambda said: Prediction(said.label or "", said.probabilities)
    ),
    "extract": Way(_types, lambda one: one.text, _spans),
    "summarize": Way(lambda _dataset: {}, lambda one: one.text, lambda said: said.text),
    "rewrite": Way(
        lambda _dataset: {"grammar_only": True}, lambda one: one.source, lambda said: said.text
    ),
}
# A document of which several passages are found counts where its best is.
FOUND = Way(
    lambda _dataset: {},
    lambda one: one.text,
    lambda said: tuple(dict.fromkeys(hit.document for hit in said.hits)),
)


@dataclass(frozen=True, slots=True)
class PairRequest:
    """Two texts have no options."""

    text: str = ""


def request_of(task: Task) -> type[Any]:
    """The dataclass whose fields but the first are a task's options."""
    own: dict[Task, type[Any]] = {"search": SearchRequest, "embed": PairRequest}
    return own[task] if task in own else TASKS[task].request


def prompt_version(task: Task) -> str:
    """Of the prompt that a task works with; empty where it has none."""
    return TASKS[task].prompt_version if task in WAYS else ""


def asking(
    model: Model, dataset: Dataset, options: Mapping[str, Any], tell: Tell
) -> AbstractAsyncContextManager[Ask]:
    """Who answers a data set's examples; raises InvalidRequest for options that are wrong."""
    task = dataset.task
    # A classifier has labels of its own.
    if task in WAYS and not options.get("classifier"):
        options = {**WAYS[task].options(dataset), **options}
    # Wrong options are wrong for every text.
    request_of(task)("text", **options)
    if task == "search":
        return _searching(model, dataset, options, tell)
    if task == "embed":
        return nullcontext(partial(_alike, model, tell))
    work = partial(do, TASKS[task], model, options)
    return nullcontext(partial(_each, WAYS[task], work, tell))


async def _each(
    way: Way, work: Callable[[Any], Awaitable[Any]], tell: Tell, examples: Sequence[Any]
) -> list[Outcome | Failure]:
    """Several at once, each failing by itself."""
    found: list[Outcome | Failure] = []
    async with aclosing(each(map(way.text, examples), work)) as results:
        async for result in results:
            found.append(_outcome(way, result))
            tell()
    return found


def _outcome(way: Way, result: Any) -> Outcome | Failure:
    if not isinstance(result, CanteenError):
        return way.outcome(result)
    if isinstance(result, _OF_ALL) or not isinstance(result, _OF_AN_ITEM):
        raise result
    return Failure(result.message)


async def _alike(model: Model, tell: Tell, examples: Sequence[Any]) -> list[Outcome | Failure]:
    """The cosine of each pair; a text that is in several is embedded once."""
    texts = list(dict.fromkeys(text for one in examples for text in (one.first, one.second)))
    vectors = dict(zip(texts, await _vectors(model, texts), strict=True))
    found: list[Outcome | Failure] = []
    for one in examples:
        pair = zip(vectors[one.first], vectors[one.second], strict=True)
        found.append(fsum(a * b for a, b in pair))
        tell()
    return found


@asynccontextmanager
async def _searching(
    model: Model, dataset: Dataset, options: Mapping[str, Any], tell: Tell
) -> AsyncIterator[Ask]:
    """Answers with an index of the documents, which is there as long as the context."""
    asked_for = {"limit": MOST_HITS, **options}

    async def work(query: str) -> Searched:
        return await search(index, model, SearchRequest(query, **asked_for))

    with TemporaryDirectory(prefix="canteen-evaluate-") as folder:
        index = await _indexed(model, dataset, Path(folder))
        yield partial(_each, FOUND, work, tell)


async def _indexed(model: Model, dataset: Dataset, folder: Path) -> Index:
    name = model.embedder
    (vector,) = await model.embed(["dimensions"])
    card = IndexCard("documents", name, model.models.digest(name), len(vector), created_at="")
    index = await Indexes(folder).create(card)
    documents = [Document(one.text, id=one.id) for one in dataset.documents]
    async for one in add(index, model, [Source("documents", lambda: documents)]):
        if one.error is not None:
            raise one.error
    return index


async def _vectors(model: Model, texts: Sequence[str]) -> list[Sequence[float]]:
    made: list[Sequence[float]] = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        made += await model.embed(texts[start : start + TEXTS_AT_ONCE])
    return made
