"""How near a summary is to a person's (ROUGE-L, Lin 2004), and how much of it the source says."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from rapidfuzz.distance import LCSseq

from canteen.lifecycle.evaluate.examples import Summarized
from canteen.lifecycle.evaluate.metrics import Metric, mean, ratio

_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
# A word that does not begin a sentence; a name if it is capitalised.
_INNER_WORD = re.compile(r"(?<=[^.!?:\s]\s)[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Record:
    """One summary. Pairs are how many of its things the source has, and how many there are."""

    id: str
    rouge_l: float
    numbers: tuple[int, int]
    names: tuple[int, int]
    words: tuple[int, int]
    num_words: int


def record(example: Summarized, outcome: str) -> Record:
    """Judge one summary."""
    said = set(words(example.text))
    numbers = _NUMBER.findall(outcome)
    known = set(_NUMBER.findall(example.text))
    called = [word.lower() for word in _INNER_WORD.findall(outcome) if word[0].isupper()]
    content = [word for word in words(outcome) if word not in stop_words() and len(word) > 1]
    return Record(
        example.id,
        rouge_l(outcome, example.summary),
        (sum(number in known for number in numbers), len(numbers)),
        (sum(name in said for name in called), len(called)),
        (sum(word in said for word in content), len(content)),
        len(words(outcome)),
    )


def names(one: Record) -> set[str]:
    """Nothing: summaries are of no class."""
    return set()


def score(one: Record) -> float:
    """Its ROUGE-L."""
    return one.rouge_l


def metrics(records: Sequence[Record], _names: Sequence[str]) -> tuple[Metric, ...]:
    """ROUGE-L, what share of numbers and names and of content words is the source's, length."""
    facts = [(one.numbers[0] + one.names[0], one.numbers[1] + one.names[1]) for one in records]
    return (
        mean("rouge_l", [one.rouge_l for one in records]),
        ratio("faithful_facts", facts, of_nothing=1.0),
        ratio("faithful_words", [one.words for one in records], of_nothing=1.0),
        mean("words", [float(one.num_words) for one in records], is_higher_better=False),
    )


def rouge_l(summary: str, reference: str) -> float:
    """F1 of the longest common subsequence of words, in lower case and not stemmed."""
    given, wanted = words(summary), words(reference)
    if not given or not wanted:
        return float(given == wanted)
    return 2 * LCSseq.similarity(given, wanted) / (len(given) + len(wanted))


def words(text: str) -> list[str]:
    """The words and numbers of a text, in lower case."""
    return _WORD.findall(text.lower())


@cache
def stop_words() -> frozenset[str]:
    """English words that say little."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS)
