"""One index: documents in and out, and searches. Its caller makes the vectors."""

import asyncio
import json
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from canteen.core.errors import EngineError, InvalidRequest
from canteen.tasks.documents import Document
from canteen.tasks.indexes.card import IndexCard
from canteen.tasks.indexes.filters import Condition
from canteen.tasks.indexes.rows import Row
from canteen.tasks.indexes.table import Found, Table
from canteen.tasks.indexes.writing import writing
from canteen.tasks.passages import Passage, passages
from canteen.tasks.search import Hit, fused

if TYPE_CHECKING:
    import numpy as np

    Matrix = np.ndarray[Any, np.dtype[np.float32]]
    Vectors = Sequence[Sequence[float]] | Matrix

MOST_HITS = 100
# What each part of a search finds at least, for the other to confirm, and to rank exactly.
CANDIDATES = 50
# A passage may be replaced between its being found and its being read.
MOST_TRIES = 3
MOST_METADATA_BYTES = 16 << 10
MOST_ID_CHARACTERS = 1_024


@dataclass(frozen=True, slots=True)
class Entry:
    """A document with its passages and a vector for each, in order."""

    document: Document
    passages: Sequence[Passage]
    vectors: "Vectors"


@dataclass(frozen=True, slots=True)
class Query:
    """What to find. `vector` is that of `text`, and is not needed for a search by words."""

    text: str
    vector: Sequence[float] | None = None
    limit: int = 10
    mode: Literal["hybrid", "vector", "text"] = "hybrid"
    conditions: tuple[Condition, ...] = ()


class Index:
    """An open index; safe to use from several tasks and processes at once."""

    def __init__(self, card: IndexCard, folder: Path, table: Table) -> None:
        self.card = card
        self._folder = folder
        self._table = table

    def passages(self, document: Document) -> list[Passage]:
        """The document cut as this index has it."""
        return passages(document, characters=self.card.characters, overlap=self.card.overlap)

    async def stale(self, documents: Sequence[Document]) -> list[Document]:
        """Those that are new here or have changed, each id once; the others need no vectors.

        Raises InvalidRequest for a document that cannot be kept.
        """
        for document in documents:
            check_document(document)
        held = await self._table.digests([one.id for one in documents])
        latest = {one.id: one for one in documents}
        return [one for one in latest.values() if held.get(one.id) != one.digest]

    async def put(self, entries: Sequence[Entry]) -> int:
        """Put documents in, in the place of those of the same id; gives how many.

        One that is here unchanged is left as it is. All are in, or, where it raises, none.
        """
        async with writing(self._folder):
            fresh = await self.stale([entry.document for entry in entries])
            wanted = {one.id: one for one in fresh}
            chosen = [one for one in entries if wanted.get(one.document.id) is one.document]
            if chosen:
                rows, vectors = await asyncio.to_thread(self._rows, chosen)
                await self._table.replace(rows, vectors)
        return len(chosen)

    async def remove(self, documents: Collection[str]) -> int:
        """Take documents out by id; gives how many of them were here."""
        async with writing(self._folder):
            held = sorted(await self._table.digests(sorted(documents)))
            if held:
                await self._table.delete(held)
        return len(held)

    async def is_tidy(self) -> bool:
        """Whether `tidy` would make searches little faster."""
        return await self._table.is_optimized()

    async def tidy(self) -> None:
        """Make searches fast again after documents went in or out; they are right without."""
        async with writing(self._folder):
            await self._table.optimize()

    async def documents(self) -> list[str]:
        """The id of every document, sorted."""
        return await self._table.documents()

    async def num_documents(self) -> int:
        """How many documents there are."""
        return await self._table.count_documents()

    async def num_passages(self) -> int:
        """How many passages there are."""
        return await self._table.count()

    async def fields(self) -> list[str]:
        """The fields of metadata that searches can filter by."""
        return sorted(await self._table.fields())

    async def search(self, query: Query) -> list[Hit]:
        """The best passages, best first; raises InvalidRequest, naming the field."""
        self._check_query(query)
        await self._table.check(query.conditions)
        for _ in range(MOST_TRIES):
            found = await self._ranked(query)
            rows = await self._table.rows(found)
            if len(rows) == len(found):
                break
        return [_hit(rows[key], score) for key, score in found if key in rows]

    async def _ranked(self, query: Query) -> list[Found]:
        parts = await asyncio.gather(*self._parts(query))
        if query.mode != "hybrid":
            return parts[0][: query.limit]
        best = fused([[one.key for one in part] for part in parts])
        return [Found(key, score) for key, score in best[: query.limit]]

    def _parts(self, query: Query) -> Iterable[Awaitable[list[Found]]]:
        limit = max(query.limit, CANDIDATES)
        if query.mode != "text":
            assert query.vector is not None
            yield self._table.nearest(query.vector, limit, query.conditions)
        if query.mode != "vector":
            yield self._table.matching(query.text, limit, query.conditions)

    def _check_query(self, query: Query) -> None:
        if not query.text.strip():
            raise InvalidRequest("the query is empty", param="query")
        _characters(query.text, "query")
        if not 1 <= query.limit <= MOST_HITS:
            raise InvalidRequest(f"a search finds from 1 to {MOST_HITS} passages", param="limit")
        for condition in query.conditions:
            _characters([condition.field, *condition.values], f"filter.{condition.field}")
        if query.mode != "text":
            self._vectors([query.vector or []], 1)

    def _vectors(self, given: "Vectors", number: int) -> "Matrix":
        import numpy as np

        vectors = np.asarray(given, np.float32)
        if vectors.shape != (number, self.card.dimensions) or not np.isfinite(vectors).all():
            raise EngineError(
                f"index '{self.card.name}' wants {number} vectors of {self.card.dimensions} "
                f"finite numbers, and the embedding model gave {vectors.shape}"
            )
        return vectors

    def _rows(self, entries: Sequence[Entry]) -> "tuple[list[Row], Matrix]":
        import numpy as np

        rows: list[Row] = []
        vectors = []
        for entry in entries:
            vectors.append(self._vectors(entry.vectors, len(entry.passages)))
            shown = enumerate(entry.passages)
            rows += [_kept(entry.document, number, passage) for number, passage in shown]
        return rows, np.concatenate(vectors)


def context(document: Document, passage: Passage) -> str:
    """What to read before a passage to know what it is about: titles it does not have itself."""
    titles = dict.fromkeys((document.title, *passage.headings))
    return " > ".join(title for title in titles if title and title not in passage.text)


def embedded(document: Document, passage: Passage) -> str:
    """The text whose vector stands for a passage."""
    before = context(document, passage)
    return f"{before}\n{passage.text}" if before else passage.text


def _kept(document: Document, number: int, passage: Passage) -> Row:
    content = embedded(document, passage)
    return Row(
        document=document.id,
        number=number,
        digest=document.digest,
        title=document.title,
        content=content,
        offset=len(content) - len(passage.text),
        start=passage.start,
        end=passage.end,
        page=document.page(passage.start),
        headings=passage.headings,
        metadata=document.metadata,
    )


def _hit(row: Row, score: float) -> Hit:
    text = row.content[row.offset :]
    where = (row.document, row.title, text, row.start, row.end)
    return Hit(*where, score, row.headings, row.page, row.metadata)


def check_document(document: Document) -> None:
    """Raises InvalidRequest for a document that an index cannot keep."""
    if not 1 <= len(document.id) <= MOST_ID_CHARACTERS:
        raise InvalidRequest(
            f"the id of a document has from 1 to {MOST_ID_CHARACTERS} characters", param="id"
        )
    _characters([document.id, document.title], "id")
    _characters(document.text, "text")
    if not document.text.strip():
        raise InvalidRequest(f"document '{document.id}' is empty", param="text")
    _check_metadata(document.metadata)


def _check_metadata(metadata: Mapping[str, Any]) -> None:
    _characters(metadata, "metadata")
    if len(json.dumps(metadata)) > MOST_METADATA_BYTES:
        raise InvalidRequest(
            f"the metadata of a document has at most {MOST_METADATA_BYTES} bytes", param="metadata"
        )


def _characters(value: Any, param: str) -> None:
    """Raises InvalidRequest for what cannot be written as UTF-8, or as JSON at all."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise InvalidRequest("half of a surrogate pair is no character", param=param) from None
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequest("this cannot be written as JSON", param=param) from None
