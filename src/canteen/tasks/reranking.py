"""Texts by how well they answer a query, as a model of any kind judges it."""

import math
import operator
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from canteen.core.errors import InvalidRequest
from canteen.core.generation import ScorePrompt
from canteen.tasks.documents.document import checked
from canteen.tasks.model import Model
from canteen.tasks.template import Template

PROMPT = Template(
    "rerank",
    1,
    system="You judge whether a passage answers a query. Say Yes or No.",
    user="Query: {{ query }}\n\nPassage: {{ text }}\n\nDoes the passage answer the query? "
    "Yes or No?",
)
ANSWERS = ("Yes", "No")
MOST_DOCUMENTS = 1_000
# A language model reads so much of a text; more may not fit its context.
MOST_CHARACTERS = 6_000
PROMPTS_AT_ONCE = 32
TEXTS_AT_ONCE = 64

Judge = Callable[[Model, str, Sequence[str]], Awaitable[list[float]]]
Method = Literal["embedding", "language_model", "reranker"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """`relevance` is from 0 to 1; those of one ranking compare."""

    index: int
    relevance: float


async def rerank(model: Model, query: str, texts: Sequence[str], *, method: Method) -> list[Ranked]:
    """All texts, best first, equal ones in their order. Raises InvalidRequest."""
    _check(query, texts)
    relevances = await JUDGES[method](model, query, texts)
    ranked = [Ranked(index, one) for index, one in enumerate(relevances)]
    return sorted(ranked, key=lambda one: -one.relevance)


def _check(query: str, texts: Sequence[str]) -> None:
    if not query.strip():
        raise InvalidRequest("the query is empty; say what to rank by", param="query")
    checked(query, "query")
    if not 1 <= len(texts) <= MOST_DOCUMENTS:
        raise InvalidRequest(
            f"documents must be from 1 to {MOST_DOCUMENTS:,} texts, not {len(texts):,}",
            param="documents",
        )
    for index, text in enumerate(texts):
        checked(text, f"documents.{index}")


async def _by_cosine(model: Model, query: str, texts: Sequence[str]) -> list[float]:
    """The cosine of the angle to the query, from 0 for the opposite to 1 for the same."""
    wanted = [query, *texts]
    asked, *vectors = [
        vector
        for start in range(0, len(wanted), TEXTS_AT_ONCE)
        for vector in await model.embed(wanted[start : start + TEXTS_AT_ONCE])
    ]
    cosines = (sum(map(operator.mul, asked, vector)) for vector in vectors)
    return [min(1.0, max(0.0, (1 + cosine) / 2)) for cosine in cosines]


async def _by_yes(model: Model, query: str, texts: Sequence[str]) -> list[float]:
    """The probability of yes, if the model says yes or no."""
    prompts = [
        ScorePrompt(PROMPT.messages(query=query, text=text[:MOST_CHARACTERS]), ANSWERS)
        for text in texts
    ]
    rows: list[tuple[float, ...]] = []
    for start in range(0, len(prompts), PROMPTS_AT_ONCE):
        rows += await model.score(prompts[start : start + PROMPTS_AT_ONCE])
    return [1 / (1 + math.exp(no - yes)) for yes, no in rows]


async def _by_logit(model: Model, query: str, texts: Sequence[str]) -> list[float]:
    """The probability of the model's own head."""
    rows: list[tuple[float, ...]] = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        rows += await model.embed(texts[start : start + TEXTS_AT_ONCE], query=query)
    return [1 / (1 + math.exp(-logit)) for (logit,) in rows]


JUDGES: Mapping[Method, Judge] = {
    "embedding": _by_cosine,
    "language_model": _by_yes,
    "reranker": _by_logit,
}
