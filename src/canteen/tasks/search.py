"""Search: what is found, how two rankings become one, and the words to show of a passage."""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from canteen.tasks.sentences import Span, sentences

# Of reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009).
RANK_OFFSET = 60
SNIPPET_CHARACTERS = 240
_WORD = re.compile(r"\w+")

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found: `text` is the document's text from `start` to `end`.

    `score` compares hits of one search only: a fused rank, a cosine, or a BM25 score.
    """

    document: str
    title: str
    text: str
    start: int
    end: int
    score: float
    headings: tuple[str, ...] = ()
    page: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def snippet(self, query: str) -> Span:
        """The part to show, by offsets in the document; see `snippet`."""
        found = snippet(self.text, query)
        return Span(self.start + found.start, self.start + found.end)


def fused(rankings: Sequence[Sequence[Key]]) -> list[tuple[Key, float]]:
    """Reciprocal rank fusion: each key's sum of 1 / (60 + rank), best first.

    Equal sums keep the order of first appearance, best ranks before worse ones.
    """
    scores: dict[Key, float] = {}
    for rank in range(max(map(len, rankings), default=0)):
        for ranking in rankings:
            if rank < len(ranking):
                key = ranking[rank]
                scores[key] = scores.get(key, 0.0) + 1 / (RANK_OFFSET + rank + 1)
    return sorted(scores.items(), key=lambda one: -one[1])


def snippet(text: str, query: str, characters: int = SNIPPET_CHARACTERS) -> Span:
    """The sentences of a passage that share most words with the query, and fit.

    The first ones where none does; a sentence that is too long is cut between words.
    """
    wanted = set(_words(query))
    spans = sentences(text)
    if not spans:
        return Span(0, min(len(text), characters))
    windows = [_window(spans, first, characters) for first in range(len(spans))]
    best = max(windows, key=lambda one: len(wanted.intersection(_words(text[one.start : one.end]))))
    if best.end - best.start <= characters:
        return best
    return _within(text, best, wanted, characters)


def _window(spans: Sequence[Span], first: int, characters: int) -> Span:
    """A sentence and as many after it as fit."""
    start, end = spans[first]
    for span in spans[first + 1 :]:
        if span.end - start > characters:
            break
        end = span.end
    return Span(start, end)


def _within(text: str, span: Span, wanted: set[str], characters: int) -> Span:
    """The part of a long sentence from a little before its first wanted word."""
    words = _WORD.finditer(text, span.start, span.end)
    first = next((word.start() for word in words if word.group().lower() in wanted), span.start)
    start = max(span.start, min(first - characters // 4, span.end - characters))
    end = start + characters
    space = text.find(" ", start, first)
    if start > span.start and space >= 0:
        start = space + 1
    space = text.rfind(" ", first + 1, end)
    return Span(start, end if end >= span.end or space < 0 else space)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
