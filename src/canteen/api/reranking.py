"""Texts by how well they answer a query, in the form of Jina and Cohere, for every dialect."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from canteen.api.receipts import ReceiptBody
from canteen.api.routing import Route, Served
from canteen.api.whole import whole
from canteen.api.wire import WHOLE, Name, Wire, expecting
from canteen.core.errors import InvalidRequest
from canteen.core.model import Kind
from canteen.tasks.model import Model
from canteen.tasks.reranking import PROMPT, Method, Ranked, rerank

METHODS: dict[Kind, Method] = {
    "generator": "language_model",
    "embedder": "embedding",
    "reranker": "reranker",
}


class RerankDocument(Wire):
    """A text, as an object."""

    text: str


class RerankRequest(Wire):
    """What to rank, and by what."""

    model: Name = Field(description="A model that ranks, one that embeds, or one that generates.")
    query: str
    documents: list[Annotated[str | RerankDocument, expecting('a text, or {"text": …}')]]
    top_n: Annotated[int, WHOLE] | None = Field(None, description="Only so many, the best.")
    return_documents: bool = Field(False, description="Give the texts back too.")


class RankedText(BaseModel):
    """The place of a text in `documents`, and how well it answers, from 0 to 1."""

    index: int
    relevance_score: float
    document: dict[str, str] | None = None


class RerankMeta(BaseModel):
    """`embedding`: the cosine of query and text, from -1 to 1 mapped to 0 to 1. `language_model`:
    the probability that the model says yes to whether the text answers the query. `reranker`: that
    of a model made for it."""

    method: Method


class Reranked(BaseModel):
    """The texts, best first."""

    model_config = ConfigDict(protected_namespaces=())
    id: str
    model: str
    results: list[RankedText]
    usage: dict[str, int]
    meta: RerankMeta
    footprint: ReceiptBody


async def run(body: RerankRequest, served: Served) -> Response:
    """Rank texts."""
    if body.top_n is not None and body.top_n < 1:
        raise InvalidRequest("top_n must be 1 or more", param="top_n")
    texts = [one if isinstance(one, str) else one.text for one in body.documents]
    card = served.services.catalog.get(body.model)
    method = METHODS[card.kind]
    version = PROMPT.id if method == "language_model" else ""
    request_id = f"rerank-{served.observe.receipt_id.removeprefix('rcpt_')}"
    model = Model(
        served.services,
        body.model,
        body.model,
        request_id,
        caller_id=served.caller_id,
        prompt_version=version,
    )
    ranked = await rerank(model, body.query, texts, method=method)
    num_tokens = model.usage.prompt_tokens
    said = {
        "id": model.id,
        "model": body.model,
        "results": [_result(one, texts, body) for one in ranked[: body.top_n]],
        "usage": {"prompt_tokens": num_tokens, "total_tokens": num_tokens},
        "meta": {"method": method},
    }
    return whole(said | served.footprint())


def _result(one: Ranked, texts: list[str], body: RerankRequest) -> dict[str, Any]:
    said = {"index": one.index, "relevance_score": one.relevance}
    return said | ({"document": {"text": texts[one.index]}} if body.return_documents else {})


def route(path: str) -> Route:
    """The row of a path."""
    return Route(
        "POST",
        path,
        run,
        RerankRequest,
        Reranked,
        "Rank texts by how well they answer",
        scope="llm:tasks",
    )
