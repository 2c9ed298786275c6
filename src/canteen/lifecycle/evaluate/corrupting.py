"""Corrections made of clean sentences: each is spoiled by rule, and the original is the gold."""

import random
import re
from collections.abc import Callable, Sequence

from canteen.lifecycle.evaluate.examples import Corrected
from canteen.lifecycle.evaluate.packages import Archive
from canteen.lifecycle.evaluate.readers import Parts, orange_rows

_NUM_SENTENCES = 400
# Every so many sentences one is left as it is: what is right is not to be changed.
_CLEAN_EVERY = 5
_MOST_ERRORS = 3
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_PLAIN = re.compile(r"[A-Z][A-Za-z ,;']+[.]")
_AGREEING = (
    *(("was", "were"), ("is", "are"), ("has", "have"), ("does", "do"), ("goes", "go")),
    *(("says", "say"), ("comes", "come"), ("this", "these"), ("that", "those")),
)
_OTHER_NUMBER = {
    word: other for one, many in _AGREEING for word, other in ((one, many), (many, one))
}
_ARTICLES = ("a", "an", "the")
_VOWELS = "aeiou"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

Spoil = Callable[[list[str], random.Random], bool]


def tales(archive: Archive) -> Parts:
    """Sentences of Grimm's tales, in the public domain, spoiled."""
    text = " ".join(row["Content"] for row in orange_rows(archive, "grimm-tales"))
    clean = [one for one in _SENTENCE.split(text) if is_plain(one)]
    step = len(clean) / _NUM_SENTENCES
    chosen = [clean[int(place * step)] for place in range(_NUM_SENTENCES)]
    return Parts([spoiled(str(place), one) for place, one in enumerate(chosen)])


def is_plain(sentence: str) -> bool:
    """Whether it is one whole sentence of some words, without speech in it."""
    return _PLAIN.fullmatch(sentence) is not None and 6 <= len(sentence.split()) <= 30


def spoiled(sentence_id: str, sentence: str) -> Corrected:
    """The sentence with one to three errors, or with none; the same id gives the same ones."""
    draw = random.Random(f"{sentence_id} {sentence}")  # noqa: S311 - no secret
    words = sentence.split(" ")
    if draw.randrange(_CLEAN_EVERY):
        for _ in range(draw.randint(1, _MOST_ERRORS)):
            any(spoil(words, draw) for spoil in draw.sample(_SPOILS, len(_SPOILS)))
    return Corrected(sentence_id, " ".join(words), sentence)


def disagree(words: list[str], draw: random.Random) -> bool:
    """Put a verb or a pronoun into the other number."""
    place = _one_of([at for at, word in enumerate(words) if word in _OTHER_NUMBER], draw)
    if place is None:
        return False
    words[place] = _OTHER_NUMBER[words[place]]
    return True


def lose_article(words: list[str], draw: random.Random) -> bool:
    """Leave an article out, or take the wrong one."""
    place = _one_of([at for at, word in enumerate(words) if word in _ARTICLES], draw)
    if place is None:
        return False
    if words[place] == "the" or draw.random() < 0.5:
        del words[place]
    else:
        words[place] = "an" if words[place] == "a" else "a"
    return True


def misspell(words: list[str], draw: random.Random) -> bool:
    """Swap, drop, double or change a letter inside a longer word."""
    place = _one_of([at for at, word in enumerate(words) if len(word) > 4 and word.isalpha()], draw)
    if place is None:
        return False
    word = words[place]
    at = draw.randint(1, len(word) - 3)
    ways = (
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + draw.choice(_VOWELS if word[at] in _VOWELS else _LETTERS) + word[at + 1 :],
    )
    words[place] = draw.choice(ways)
    return words[place] != word


_SPOILS: Sequence[Spoil] = (disagree, lose_article, misspell)


def _one_of(places: Sequence[int], draw: random.Random) -> int | None:
    return draw.choice(places) if places else None
