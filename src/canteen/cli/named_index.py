"""A search index of `canteen.LLM`: documents in and out, and searches."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from canteen.bootstrap import Services
from canteen.cli import gathering, store
from canteen.core.errors import IndexNotFound, InvalidRequest
from canteen.tasks import answering
from canteen.tasks.documents import Document
from canteen.tasks.documents.document import checked
from canteen.tasks.indexes import Index
from canteen.tasks.indexing import Added, Source, add
from canteen.tasks.library import IndexDescription, IndexRequest
from canteen.tasks.model import Model
from canteen.tasks.searching import Searched, SearchRequest, search

_KEYS = ("text", "id", "title", "metadata")

# A text, a file or folder, an object with `text` and perhaps id, title and metadata.
Given = str | Path | Mapping[str, Any] | Document


@dataclass(frozen=True, slots=True)
class Desk:
    """How an `LLM` has work done: on its loop's thread, by its models, with a receipt."""

    services: Services
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    as_they_come: Callable[[AsyncGenerator[Added]], Generator[Added, None, None]]
    at_work: Callable[[str, str, str], AbstractAsyncContextManager[Model]]


class NamedIndex:
    """An index by its name, for the models of an `LLM`, whose `receipt` tells what was used."""

    def __init__(self, desk: Desk, request: IndexRequest) -> None:
        self._desk = desk
        self._request = request
        self._library = desk.services.library

    def add(self, documents: Given | Iterable[Given]) -> list[Added]:
        """Put documents in, and make the index if it is not there; what became of each, in order.

        One that is there unchanged costs nothing; one that fails does not fail the others.
        """
        if isinstance(documents, str | Path | Mapping | Document):
            documents = [documents]
        sources = (one for given in documents for one in _sources(given))
        return list(self.add_each(sources))

    def add_each(self, sources: Iterable[Source]) -> Generator[Added, None, None]:
        """What becomes of each document, as it is done; to stop early is to cancel."""
        yield from self._desk.as_they_come(self._added(sources))

    def search(self, query: str, **options: Any) -> Searched:
        """The passages that say most about a query; options as those of `LLM.search`."""
        found: Searched = self._desk.run(self._searched(SearchRequest(query, **options)))
        return found

    def documents(self) -> list[str]:
        """The ids of all documents, in order."""
        ids: list[str] = self._desk.run(self._ids())
        return ids

    def remove(self, *documents: str) -> int:
        """Take documents out by their ids; gives how many were there."""
        count: int = self._desk.run(self._taken_out(documents))
        return count

    def describe(self) -> IndexDescription:
        """What it was made with and what it holds."""
        described: IndexDescription = self._desk.run(self._described())
        return described

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._request.name!r})"

    async def _added(self, sources: Iterable[Source]) -> AsyncGenerator[Added]:
        await store.ensure(self._desk.services, await self._embedder())
        index = await self._library.make(self._request)
        async with (
            self._desk.at_work("index", "", index.card.model) as model,
            aclosing(add(index, model, sources)) as outcomes,
        ):
            async for outcome in outcomes:
                yield outcome

    async def _searched(self, request: SearchRequest) -> Searched:
        found = await self._open()
        await store.ensure(self._desk.services, found.card.model)
        index = await self._library.open(self._request.name)
        version = answering.PROMPT.id if request.answer else ""
        async with self._desk.at_work("search", version, index.card.model) as model:
            return await search(index, model, request)

    async def _embedder(self) -> str:
        if self._request.embedder:
            return self._request.embedder
        try:
            return (await self._open()).card.model
        except IndexNotFound:
            return store.settings().default_embedder

    async def _open(self) -> Index:
        return await self._library.indexes.open(self._request.name)

    async def _ids(self) -> list[str]:
        return await (await self._open()).documents()

    async def _taken_out(self, documents: Iterable[str]) -> int:
        return await (await self._open()).remove(list(documents))

    async def _described(self) -> IndexDescription:
        return await self._library.describe(await self._open())


def _sources(given: Given) -> Iterable[Source]:
    if isinstance(given, Path):
        return gathering.sources([given])
    if isinstance(given, Document):
        return [Source(given.id, lambda: [given])]
    fields = {"text": given} if isinstance(given, str) else given
    return [Source(str(fields.get("id", "")), partial(_document, fields))]


def _document(fields: Mapping[str, Any]) -> list[Document]:
    unknown = [one for one in fields if one not in _KEYS]
    if unknown or not isinstance(fields.get("text"), str):
        raise InvalidRequest(
            f"a document has {', '.join(_KEYS)}, and text is needed", param="documents"
        )
    document = Document(
        checked(fields["text"], "text"),
        title=str(fields.get("title") or ""),
        metadata=fields.get("metadata") or {},
    )
    return [replace(document, id=str(fields.get("id") or document.digest))]
