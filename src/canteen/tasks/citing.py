"""Citations: for each sentence of an answer, the sentence of the source that it rests on."""

import heapq
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from canteen.core.errors import ModelNotFound
from canteen.tasks.facts import stems
from canteen.tasks.model import Model
from canteen.tasks.sentences import Span, sentences

By = Literal["embedding", "words"]
# As many as share the most words with a sentence are compared by their vectors.
CANDIDATES = 8
MOST_EMBEDDED = 64


@dataclass(frozen=True, slots=True)
class Citation:
    """`quote` is the source's text from `start` to `end`. `similarity` is from 0 to 1: `by` the
    cosine of two embeddings, or by the share of the sentence's words that the quote has."""

    sentence: str
    start: int
    end: int
    quote: str
    similarity: float
    by: By


async def cite(model: Model, answer: Sequence[str], text: str) -> list[Citation]:
    """The passage of each sentence, in order; none for one that shares no word with the text."""
    found = _candidates(answer, text)
    pairs = [(one, spans) for one, spans in zip(answer, found, strict=True) if spans]
    try:
        return await _by_embedding(model, pairs, text)
    except ModelNotFound:
        # There is no embedder in the store.
        pass
    return [_by_words(one, spans[0], text) for one, spans in pairs]


def _candidates(answer: Sequence[str], text: str) -> list[list[Span]]:
    """For each sentence those of the text with the most, and the rarest, of its words.

    The text is gone through twice and never held in another form.
    """
    wanted = [stems(one) for one in answer]
    spans = sentences(text)
    either = set[str]().union(*wanted)
    spread = Counter(stem for start, end in spans for stem in stems(text[start:end]) & either)
    weights = {stem: math.log(1 + len(spans) / count) for stem, count in spread.items()}
    best: list[list[tuple[float, int]]] = [[] for _ in wanted]
    for place, (start, end) in enumerate(spans):
        said = stems(text[start:end])
        for heap, own in zip(best, wanted, strict=True):
            if common := own & said:
                weight = sum(weights[stem] for stem in common) / math.sqrt(len(said))
                push = heapq.heappush if len(heap) < CANDIDATES else heapq.heappushpop
                push(heap, (weight, -place))
    return [[spans[-place] for _, place in sorted(heap, reverse=True)] for heap in best]


async def _by_embedding(
    model: Model, pairs: Sequence[tuple[str, list[Span]]], text: str
) -> list[Citation]:
    texts = [one for one, _ in pairs]
    texts += [text[start:end] for _, spans in pairs for start, end in spans]
    vectors = [
        vector
        for at in range(0, len(texts), MOST_EMBEDDED)
        for vector in await model.embed(texts[at : at + MOST_EMBEDDED])
    ]
    quoted = iter(vectors[len(pairs) :])
    citations = []
    for (sentence, spans), vector in zip(pairs, vectors, strict=False):
        near = [_cosine(vector, next(quoted)) for _ in spans]
        span = spans[near.index(max(near))]
        citations.append(_citation(sentence, span, text, max(near), "embedding"))
    return citations


def _by_words(sentence: str, span: Span, text: str) -> Citation:
    said = stems(sentence)
    share = len(said & stems(text[span.start : span.end])) / len(said)
    return _citation(sentence, span, text, share, "words")


def _citation(sentence: str, span: Span, text: str, similarity: float, by: By) -> Citation:
    near = round(min(1.0, max(0.0, similarity)), 4)
    return Citation(sentence, span.start, span.end, text[span.start : span.end], near, by)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
