"""Search as an operation: a question in, passages with what to show of each out, or an answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from canteen.core.asking import asked, check
from canteen.core.errors import InvalidRequest
from canteen.tasks import answering
from canteen.tasks.answering import Answer
from canteen.tasks.documents.document import checked
from canteen.tasks.indexes import Index, Query, parsed
from canteen.tasks.indexes.index import MOST_HITS
from canteen.tasks.model import Model
from canteen.tasks.search import Hit

MOST_QUERY_CHARACTERS = 10_000
MODES = ("hybrid", "vector", "text")


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What to find."""

    query: str
    limit: int = asked("Passages, at most.", 10, least=1, most=MOST_HITS)
    mode: Literal["hybrid", "vector", "text"] = asked(
        "By meaning and words, by meaning, or by words.", "hybrid", choices=MODES
    )
    filter: Mapping[str, Any] | None = asked(
        'What metadata must be: {"lang": "en", "year": {"gte": 2020}, "kind": {"in": ["a"]}}.'
    )
    answer: bool = asked("Let the model write a short answer from what is found.", False)

    def __post_init__(self) -> None:
        check(self)
        if not self.query.strip():
            raise InvalidRequest("the query is empty; say what to find", param="query")
        if len(self.query) > MOST_QUERY_CHARACTERS:
            raise InvalidRequest(
                f"the query has more than {MOST_QUERY_CHARACTERS:,} characters", param="query"
            )
        checked(self.query, "query")


@dataclass(frozen=True, slots=True)
class Quote:
    """The document's text from `start` to `end`."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Match:
    """A passage that was found: `text` is the document's from `start` to `end`, and `snippet`
    the part of it that says most about the query. Scores of one search compare."""

    document: str
    title: str
    score: float
    text: str
    start: int
    end: int
    snippet: Quote
    headings: tuple[str, ...] = ()
    page: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Searched:
    """The passages, best first, and the answer where one was asked for."""

    hits: tuple[Match, ...]
    answer: Answer | None = None


async def search(index: Index, model: Model, request: SearchRequest) -> Searched:
    """Search an index whose vectors the model's embedder made; raises InvalidRequest."""
    conditions = parsed({} if request.filter is None else request.filter)
    vector = None if request.mode == "text" else (await model.embed([request.query]))[0]
    hits = await index.search(Query(request.query, vector, request.limit, request.mode, conditions))
    answer = await answering.answer(model, request.query, hits) if request.answer else None
    return Searched(tuple(_match(hit, request.query) for hit in hits), answer)


def _match(hit: Hit, query: str) -> Match:
    start, end = hit.snippet(query)
    return Match(
        document=hit.document,
        title=hit.title,
        score=hit.score,
        text=hit.text,
        start=hit.start,
        end=hit.end,
        snippet=Quote(hit.text[start - hit.start : end - hit.start], start, end),
        headings=hit.headings,
        page=hit.page,
        metadata=hit.metadata,
    )
