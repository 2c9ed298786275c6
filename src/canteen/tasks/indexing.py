"""Documents into an index: read, cut, embedded and put in, a batch at a time, each by itself."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from canteen.core.errors import InvalidRequest, Overloaded
from canteen.tasks.documents import Document
from canteen.tasks.indexes import Entry, Index
from canteen.tasks.indexes.index import check_document, embedded
from canteen.tasks.model import Model

if TYPE_CHECKING:
    import numpy as np

# What is put in at once, and what a killed process loses, at most.
BATCH_PASSAGES = 256
# What an embedder has to do before others get their turn.
TEXTS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Source:
    """Where documents come from. `load` reads them, when it is their turn, and raises
    InvalidRequest; `name` is said of what it could not read."""

    name: str
    load: Callable[[], Sequence[Document]]


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a document: so many `passages` went in; or they were there; or why not."""

    id: str
    status: Literal["indexed", "unchanged", "failed"]
    passages: int = 0
    error: InvalidRequest | None = None


async def add(index: Index, model: Model, sources: Iterable[Source]) -> AsyncGenerator[Added]:
    """Put documents into an index; tells of each in order.

    One that is there unchanged is neither embedded nor written. What was told of stays, however
    this ends: to go on is to start again. Raises Overloaded or EngineError.
    """
    has_changed = False
    async for batch in _batches(index, _each(sources)):
        for one in await _add(index, model, batch):
            has_changed |= one.status == "indexed"
            yield one
    if has_changed and not await index.is_tidy():
        # Who is writing now will tidy too; searches are right without.
        with suppress(Overloaded):
            await index.tidy()


def _each(sources: Iterable[Source]) -> Iterator[Document | Added]:
    """Every document there is, or why not."""
    given: dict[str, str] = {}
    for source in sources:
        try:
            documents = source.load()
        except InvalidRequest as error:
            yield Added(source.name, "failed", error=error)
            continue
        for document in documents:
            yield _checked(document, given)


def _checked(document: Document, given: dict[str, str]) -> Document | Added:
    """The document, if it can be kept, and no other was `given` by its id."""
    try:
        check_document(document)
        digest = document.digest
        if given.setdefault(document.id, digest) != digest:
            raise InvalidRequest(f"'{document.id}' is the id of another document too", param="id")
    except InvalidRequest as error:
        return Added(document.id, "failed", error=error)
    return document


async def _batches(
    index: Index, items: Iterator[Document | Added]
) -> AsyncGenerator[list[Document | Added]]:
    """Batches in order, read beside the loop."""
    while batch := await asyncio.to_thread(_batch, items, index.card.characters):
        yield batch


def _batch(items: Iterator[Document | Added], characters: int) -> list[Document | Added]:
    batch: list[Document | Added] = []
    expected = 0
    for item in items:
        batch.append(item)
        expected += 1 + (len(item.text) // characters if isinstance(item, Document) else 0)
        if expected >= BATCH_PASSAGES:
            break
    return batch


async def _add(index: Index, model: Model, batch: Sequence[Document | Added]) -> list[Added]:
    documents = [one for one in batch if isinstance(one, Document)]
    stale = await index.stale(documents)
    entries = await _entries(index, model, stale)
    refused = await _put(index, entries)
    indexed = {one.document.id: len(one.passages) for one in entries}
    return [_outcome(one, indexed, refused) if isinstance(one, Document) else one for one in batch]


def _outcome(
    document: Document, indexed: dict[str, int], refused: dict[str, InvalidRequest]
) -> Added:
    error = refused.get(document.id)
    if error is not None:
        return Added(document.id, "failed", error=error)
    # The same document again is unchanged after the first.
    count = indexed.pop(document.id, None)
    if count is None:
        return Added(document.id, "unchanged")
    return Added(document.id, "indexed", count)


async def _entries(index: Index, model: Model, documents: Sequence[Document]) -> list[Entry]:
    """The documents with their passages and vectors."""
    cut = await asyncio.to_thread(lambda: [index.passages(one) for one in documents])
    pairs = list(zip(documents, cut, strict=True))
    texts = [embedded(document, one) for document, passages in pairs for one in passages]
    vectors = await _vectors(model, texts)
    entries, start = [], 0
    for document, passages in pairs:
        entries.append(Entry(document, passages, vectors[start : start + len(passages)]))
        start += len(passages)
    return entries


async def _vectors(
    model: Model, texts: Sequence[str]
) -> "Sequence[Any] | np.ndarray[Any, np.dtype[np.float32]]":
    """A row for each text, in a quarter of the memory that Python's numbers take."""
    if not texts:
        return []
    import numpy as np

    rows = [
        np.asarray(await model.embed(texts[start : start + TEXTS_AT_ONCE]), np.float32)
        for start in range(0, len(texts), TEXTS_AT_ONCE)
    ]
    return np.concatenate(rows)


async def _put(index: Index, entries: Sequence[Entry]) -> dict[str, InvalidRequest]:
    """Put all in that can be; why others could not, by id."""
    if not entries:
        return {}
    try:
        await index.put(entries)
    except InvalidRequest as error:
        if len(entries) == 1:
            return {entries[0].document.id: error}
        middle = len(entries) // 2
        first = await _put(index, entries[:middle])
        return first | await _put(index, entries[middle:])
    return {}
