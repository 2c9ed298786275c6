"""What a text says that another can be asked for: its numbers, its names, the words it is about."""

import re
from collections.abc import Iterator
from functools import cached_property

from canteen.tasks.sentences import sentences

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_NUMERAL = re.compile(r"\d+(?:[.,:/]\d+)*")
_COUNTING = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+")
# Between the thousands, which other writers leave out.
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_UNITS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
    fifteen sixteen seventeen eighteen nineteen""".split()  # noqa: SIM905
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_VALUES = {
    **{word: value for value, word in enumerate(_UNITS)},
    **{word: 10 * value for value, word in enumerate(_TENS, 2)},
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
# Words are alike whose beginnings are.
_STEM = 5
# From here scripts have no spaces between words; pairs of characters stand for them.
_UNSPACED = "\u2e80"
COMMON = frozenset(
    """
    a about after all also an and any are as at be because been before being both but by can could
    did do does each for from had has have he her him his how i if in into is it its just may me
    more most must my no nor not of on one only or other our out over own said she should so some
    such than that the their them then there these they this those through to under up us very was
    we were what when where which while who whom why will with would you your
    """.split()  # noqa: SIM905
)


def words(text: str) -> list[str]:
    """The words and numbers of a text, as they are written."""
    return _WORD.findall(text)


def stems(text: str) -> set[str]:
    """What the content words of a text begin with, in lower case."""
    return {stem for word in words(text.lower()) if word not in COMMON for stem in _stems(word)}


def _stems(word: str) -> Iterator[str]:
    if max(word) < _UNSPACED:
        yield word[:_STEM]
        return
    yield from (word[at : at + 2] for at in range(max(1, len(word) - 1)))


def names(text: str) -> list[str]:
    """Words with a capital letter that do not owe it to the beginning of a sentence."""
    found = []
    for start, end in sentences(text):
        inner = _WORD.findall(text, start, end)[1:]
        found += [word for word in inner if word[0].isupper() and word.lower() not in COMMON]
    return found


def numerals(text: str) -> list[str]:
    """Numbers in digits, without what parts their thousands."""
    return [_THOUSANDS.sub("", one) for one in _NUMERAL.findall(text)]


class Source:
    """What a text says, for others to be held against."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _numbers(self) -> set[str]:
        return {*numerals(self._text), *counted(self._text)}

    @cached_property
    def _words(self) -> set[str]:
        return set(words(self._text.lower()))

    @cached_property
    def _stems(self) -> set[str]:
        return stems(self._text)

    def lacks(self, sentence: str) -> list[str]:
        """The numbers and names of a sentence that the source does not have."""
        foreign = [one for one in numerals(sentence) if one not in self._numbers]
        foreign += [one for one in names(sentence) if not self._knows(one.lower())]
        return list(dict.fromkeys(foreign))

    def share(self, sentence: str) -> float:
        """What part of the content words of a sentence the source has; 1 of none."""
        said = stems(sentence)
        return len(said & self._stems) / len(said) if said else 1.0

    def _knows(self, word: str) -> bool:
        # A numeral has been looked for already.
        parts = {word, word.removesuffix("'s").removesuffix("\u2019s")}
        return word[0].isdecimal() or not parts.isdisjoint(self._words)


def counted(text: str) -> set[str]:
    """The numbers that words tell, with or without digits: `eighteen`, `48 million`."""
    found, run = set(), list[str]()
    for word in [*_COUNTING.findall(_THOUSANDS.sub("", text.lower())), ""]:
        if word in _VALUES or word in _SCALES or word[:1].isdecimal():
            run.append(word)
        elif run and word != "and":
            found.add(_value(run))
            run = []
    return found


def _value(run: list[str]) -> str:
    total = part = 0.0
    for word in run:
        if word in _SCALES:
            # A float ends in infinity, where whole numbers would grow for ever.
            part = (part or 1.0) * _SCALES[word]
            if word != "hundred":
                total, part = total + part, 0
        else:
            part += _VALUES[word] if word in _VALUES else float(word)
    return f"{total + part:.10g}"
