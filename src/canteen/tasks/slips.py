"""Small slips of English writing, undone one at a time: what a sentence may have been meant as."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from canteen.tasks.facts import COMMON

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_GROUPS = tuple(
    tuple(group.split())
    for group in (
        "is are",
        "was were",
        "has have",
        "does do",
        "go goes",
        "don't doesn't",
        "isn't aren't",
        "wasn't weren't",
        "a an the",
        "this these",
        "that those",
        "its it's",
        "your you're",
        "their there they're",
        "then than",
        "to too",
        "of off",
        "loose lose",
        "affect effect",
        "much many",
        "fewer less",
        "good well",
    )
)
ALTERNATIVES: dict[str, tuple[str, ...]] = {
    word: tuple(other for other in group if other != word) for group in _GROUPS for word in group
}
# After these an article may be missing.
BEFORE_ARTICLES = frozenset(
    """
    of in on at to for with by from into over under through during without among between about
    after before as than like and or is are was were be has have had not
    """.split()  # noqa: SIM905
)
# A share of common words from which a text is taken for English.
ENGLISH = 0.2
MOST_SPELLINGS = 6
LEAST_LETTERS = 3


@dataclass(frozen=True, slots=True)
class Edit:
    """`text` in place of what is from `start` to `end`, which may be no word of English."""

    start: int
    end: int
    text: str
    is_spelling: bool = False

    def of(self, sentence: str) -> str:
        """The sentence with it made."""
        return sentence[: self.start] + self.text + sentence[self.end :]


def is_english(text: str) -> bool:
    """Whether enough of its words are the common ones."""
    words = _WORD.findall(text.lower())
    return sum(word in COMMON for word in words) >= ENGLISH * max(1, len(words))


def edits(sentence: str) -> Iterator[Edit]:
    """Agreement, articles, words often taken for each other, and spelling."""
    words = list(_WORD.finditer(sentence))
    for place, word in enumerate(words):
        before = words[place - 1][0].lower() if place else ""
        for other in _others(word[0]):
            yield Edit(word.start(), word.end(), other, _is_no_word(word[0]))
        if word[0] in ("a", "an", "the") and sentence[word.end() : word.end() + 1] == " ":
            yield Edit(word.start(), word.end() + 1, "")
        if word[0].islower() and word[0] not in COMMON and before in BEFORE_ARTICLES:
            for article in ("the ", "an " if word[0][0] in "aeiou" else "a "):
                yield Edit(word.start(), word.start(), article)


def _others(word: str) -> Iterator[str]:
    lower = word.lower()
    others = ALTERNATIVES.get(lower, ())
    if not others and lower not in COMMON and len(word) >= LEAST_LETTERS:
        others = (*_spelled(word), *_numbers(word)) if word.islower() else ()
    for other in dict.fromkeys(others):
        yield other.capitalize() if word[0].isupper() else other


def _numbers(word: str) -> Iterator[str]:
    """The word with and without the ending of the other number, where that is a word."""
    made = [f"{word}s"]
    if word.endswith(("s", "x", "z", "ch", "sh", "o")):
        made.append(f"{word}es")
    if word.endswith("y"):
        made.append(f"{word[:-1]}ies")
    if word.endswith("s"):
        made.append(word[:-1])
    if word.endswith("es"):
        made.append(word[:-2])
    if word.endswith("ies"):
        made.append(f"{word[:-3]}y")
    return (one for one in made if one in _speller())


def _spelled(word: str) -> list[str]:
    """The commonest words a letter away from one that is none; nothing of a name."""
    speller = _speller()
    if not _is_no_word(word):
        return []
    near = speller.candidates(word) or ()
    return sorted(near, key=lambda one: -speller.word_usage_frequency(one))[:MOST_SPELLINGS]


def _is_no_word(word: str) -> bool:
    return word.isalpha() and word.islower() and word not in _speller()


@cache
def _speller() -> Any:
    from spellchecker import SpellChecker

    return SpellChecker(language="en", distance=1)
