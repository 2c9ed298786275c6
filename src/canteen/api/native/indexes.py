"""`/v1/indexes`: search indexes, the documents in them, and searches."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, Field, create_model
from starlette.responses import Response

from canteen.api.errors import HttpError, problem, status_of
from canteen.api.fields import fields_of
from canteen.api.native import tasks
from canteen.api.native.uploads import DocumentFile, documents_of
from canteen.api.receipts import ReceiptBody
from canteen.api.routing import Route, Served
from canteen.api.whole import whole
from canteen.api.wire import Wire
from canteen.core.errors import InvalidRequest
from canteen.tasks import answering
from canteen.tasks.indexes import Index
from canteen.tasks.indexing import Added, Source, add
from canteen.tasks.library import IndexRequest
from canteen.tasks.model import Model
from canteen.tasks.searching import SearchRequest, search

MOST_DOCUMENTS = 10_000
MOST_LISTED = 1_000


class _Options(Wire):
    """How an index is made."""


class _Documents(Wire):
    """Documents to put in."""

    documents: list[DocumentFile] = Field(
        description="Each is put in by itself; one that fails does not fail the others."
    )


class _Search(Wire):
    """What to find."""

    model: str = Field("", description="The model that writes the answer; or the default.")


IndexOptions = create_model(
    "IndexOptions", __base__=_Options, **fields_of(IndexRequest, leave_out="name")
)
IndexDocuments = create_model(
    "IndexDocuments", __base__=_Documents, **fields_of(IndexRequest, leave_out="name")
)
Search = create_model(
    "SearchRequest",
    __base__=_Search,
    query=(str, Field(description="What to find.")),
    **fields_of(SearchRequest, leave_out="query"),
)


class IndexBody(BaseModel):
    """An index."""

    name: str
    embedder: str
    dimensions: int
    characters: int
    overlap: int
    language: str
    created_at: str
    num_documents: int
    num_passages: int
    fields: list[str] = Field(description="The metadata that searches can filter by.")


class UnusableBody(BaseModel):
    """An index that cannot be used any more, and why."""

    name: str
    problem: str


class Indexes(BaseModel):
    """Every index, by name."""

    indexes: list[IndexBody | UnusableBody]


class AddedBody(BaseModel):
    """What became of a document; `error` is a problem."""

    id: str
    status: Literal["indexed", "unchanged", "failed"]
    passages: int
    error: dict[str, Any] | None = None


class DocumentsAdded(BaseModel):
    """What became of all, in order."""

    index: str
    embedder: str
    indexed: int
    unchanged: int
    failed: int
    results: list[AddedBody]
    usage: dict[str, int]
    footprint: ReceiptBody | None = None


class DocumentIds(BaseModel):
    """Ids in order; there may be more after as many as were asked for."""

    index: str
    documents: list[str]


class QuoteBody(BaseModel):
    """The document's text from `start` to `end`."""

    text: str
    start: int
    end: int


class HitBody(QuoteBody):
    """A passage; `snippet` is the part of it to show."""

    document: str
    title: str
    score: float
    snippet: QuoteBody
    headings: list[str]
    page: int | None
    metadata: dict[str, Any]


class CitedBody(BaseModel):
    """What [`number`] in an answer stands for."""

    number: int
    document: str
    start: int
    end: int
    quote: str


class AnswerBody(BaseModel):
    """An answer that the passages bear out."""

    text: str
    by: Literal["model", "quote", "nobody"]
    citations: list[CitedBody]


class SearchAnswer(BaseModel):
    """The passages, best first."""

    index: str
    embedder: str
    hits: list[HitBody]
    answer: AnswerBody | None = None
    model: str | None = None
    usage: dict[str, int]
    footprint: ReceiptBody | None = None


class Removed(BaseModel):
    """What is gone."""

    removed: str


async def every(served: Served) -> Response:
    """The indexes there are."""
    return whole({"indexes": msgspec.to_builtins(await served.services.library.every())})


async def show(served: Served) -> Response:
    """An index."""
    index = await served.services.library.indexes.open(served.path["name"])
    return whole(await _described(served, index))


async def make(body: Any, served: Served) -> Response:
    """Make an index; one that is there already with these options stays as it is."""
    return whole(await _described(served, await _made(body, served)))


async def remove(served: Served) -> Response:
    """Remove an index with all that is in it."""
    name = served.path["name"]
    await served.services.library.indexes.remove(name)
    return whole({"removed": name})


async def put(body: Any, served: Served) -> Response:
    """Put documents into an index, which is made if it is not there."""
    if not 1 <= len(body.documents) <= MOST_DOCUMENTS:
        raise InvalidRequest(f"give from 1 to {MOST_DOCUMENTS:,} documents", param="documents")
    index = await _made(body, served)
    model = _model(index, served)
    told = [one async for one in add(index, model, _sources(body.documents))]
    counts = {
        status: sum(one.status == status for one in told)
        for status in ("indexed", "unchanged", "failed")
    }
    head = {"index": index.card.name, "embedder": index.card.model}
    return whole(head | counts | {"results": [*map(_outcome, told)]} | _foot(model, served))


async def ids(served: Served) -> Response:
    """The ids of the documents, in order: at most `limit` of those after `after`."""
    index = await served.services.library.indexes.open(served.path["name"])
    asked = served.request.query_params
    limit = _limit(asked.get("limit", f"{MOST_LISTED}"))
    after = asked.get("after")
    held = await index.documents()
    shown = [one for one in held if after is None or one > after]
    return whole({"index": index.card.name, "documents": shown[:limit]})


async def take_out(served: Served) -> Response:
    """Take a document out."""
    name, document = served.path["name"], served.path["id"]
    index = await served.services.library.indexes.open(name)
    if not await index.remove([document]):
        raise HttpError(
            404,
            f"index '{name}' has no document '{document[:64]}'",
            code="document_not_found",
        )
    return whole({"removed": document})


async def find(body: Any, served: Served) -> Response:
    """Search an index."""
    given = {key: value for key, value in body if key != "model" and value is not None}
    request = SearchRequest(**given)
    index = await served.services.library.open(served.path["name"])
    model = _model(index, served, body.model, answering.PROMPT.id if request.answer else "")
    found: dict[str, Any] = msgspec.to_builtins(await search(index, model, request))
    told = {"index": index.card.name, "embedder": index.card.model, "hits": found["hits"]}
    if request.answer:
        told |= {"answer": found["answer"], "model": model.name}
    return whole(told | _foot(model, served))


async def _made(body: Any, served: Served) -> Index:
    options = {key: value for key, value in body if key != "documents"}
    request = IndexRequest(served.path["name"], **options)
    try:
        return await served.services.library.make(request)
    except InvalidRequest as error:
        if error.code not in ("index_exists", "other_embedding_model"):
            raise
        raise HttpError(409, error.message, code=error.code) from error


def _model(index: Index, served: Served, model: str = "", prompt_version: str = "") -> Model:
    return tasks.model_named(model, index.card.model, served, prompt_version)


def _sources(given: list[DocumentFile]) -> Iterator[Source]:
    for place, one in enumerate(given):
        param = f"documents.{place}"
        yield Source(one.id or one.name or param, partial(documents_of, one, param))


def _outcome(added: Added) -> dict[str, Any]:
    told = {"id": added.id, "status": added.status, "passages": added.passages}
    if added.error is None:
        return told
    return told | {"error": problem(added.error, status_of(added.error))}


async def _described(served: Served, index: Index) -> dict[str, Any]:
    described: dict[str, Any] = msgspec.to_builtins(await served.services.library.describe(index))
    return described


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= MOST_LISTED:
        raise InvalidRequest(f"limit must be from 1 to {MOST_LISTED}", param="limit")
    return int(text)


def _foot(model: Model, served: Served) -> dict[str, Any]:
    return {"usage": tasks.usage_json(model.usage), **served.footprint()}


ROUTES = (
    Route("GET", "/v1/indexes", every, None, Indexes, "The search indexes", scope="llm:tasks"),
    Route("GET", "/v1/indexes/{name}", show, None, IndexBody, "A search index", scope="llm:tasks"),
    Route(
        "PUT",
        "/v1/indexes/{name}",
        make,
        IndexOptions,
        IndexBody,
        "Make a search index",
        scope="llm:tasks",
    ),
    Route(
        "DELETE",
        "/v1/indexes/{name}",
        remove,
        None,
        Removed,
        "Remove a search index",
        scope="llm:tasks",
    ),
    Route(
        "GET",
        "/v1/indexes/{name}/documents",
        ids,
        None,
        DocumentIds,
        "What is in an index",
        scope="llm:tasks",
    ),
    Route(
        "POST",
        "/v1/indexes/{name}/documents",
        put,
        IndexDocuments,
        DocumentsAdded,
        "Put documents into an index",
        scope="llm:tasks",
    ),
    Route(
        "DELETE",
        "/v1/indexes/{name}/documents/{id:path}",
        take_out,
        None,
        Removed,
        "Take a document out of an index",
        scope="llm:tasks",
    ),
    Route(
        "POST",
        "/v1/indexes/{name}/search",
        find,
        Search,
        SearchAnswer,
        "Search an index",
        scope="llm:tasks",
    ),
)
