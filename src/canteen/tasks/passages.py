"""A document in passages: by its sections, then paragraphs, sentences and words."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from canteen.core.errors import InvalidRequest
from canteen.tasks.documents import Document, Section
from canteen.tasks.sentences import Span, sentences, trimmed

# An embedding model of 256 to 512 word pieces reads about a thousand characters.
CHARACTERS = 1_000
LEAST_CHARACTERS = 50
MOST_CHARACTERS = 100_000
# A section shorter than this share of a passage does not stand alone.
SHORT = 0.2
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")


@dataclass(frozen=True, slots=True)
class Passage:
    """`text` is the document's from `start` to `end`; `headings` is the path to it."""

    text: str
    start: int
    end: int
    headings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is never split: a paragraph, or a part of one that is too long."""

    start: int
    end: int
    headings: tuple[str, ...]


def passages(
    document: Document, *, characters: int = CHARACTERS, overlap: int = 0
) -> list[Passage]:
    """Passages in order, each an exact slice of at most `characters`, that together hold all
    that is not blank.

    Each begins with what the one before ended with, whole units of at most `overlap` characters.
    """
    if not LEAST_CHARACTERS <= characters <= MOST_CHARACTERS:
        raise InvalidRequest(
            f"a passage has from {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters",
            param="characters",
        )
    if not 0 <= overlap <= characters // 2:
        raise InvalidRequest("passages overlap by at most half of their length", param="overlap")
    sections = document.sections or (Section(0, len(document.text)),)
    units = _units(document.text, sections, characters)
    return [_passage(document.text, one) for one in _packed(units, characters, overlap)]


def _units(text: str, sections: Iterable[Section], characters: int) -> Iterator[_Unit]:
    for section in sections:
        for paragraph in paragraphs(text, section.start, section.end):
            for span in _pieces(text, paragraph, characters):
                yield _Unit(span.start, span.end, section.headings)


def paragraphs(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """What stands between blank lines, in a part of `text`."""
    end = len(text) if end is None else end
    spans, begin = [], start
    for blank in _BLANK_LINE.finditer(text, start, end):
        spans.append(trimmed(text, begin, blank.start()))
        begin = blank.end()
    spans.append(trimmed(text, begin, end))
    return [span for span in spans if span]


def _pieces(text: str, paragraph: Span, characters: int) -> Iterator[Span]:
    if paragraph.end - paragraph.start <= characters:
        yield paragraph
        return
    for sentence in sentences(text, paragraph.start, paragraph.end):
        yield from _cut(text, sentence, characters)


def _cut(text: str, sentence: Span, characters: int) -> Iterator[Span]:
    """A sentence that is too long, between words where there are any."""
    start, end = sentence
    while end - start > characters:
        space = max(text.rfind(blank, start + 1, start + characters) for blank in " \n\t")
        stop = space if space > start else start + characters
        if span := trimmed(text, start, stop):
            yield span
        start = stop
    if span := trimmed(text, start, end):
        yield span


def _packed(units: Iterable[_Unit], characters: int, overlap: int) -> Iterator[list[_Unit]]:
    """Units together as long as they fit, and are of one section or hold little yet."""
    packed: list[_Unit] = []
    for unit in units:
        if packed and not _joins(packed, unit, characters):
            yield packed
            packed = _tail(packed, unit, characters, overlap)
        packed.append(unit)
    if packed:
        yield packed


def _joins(packed: Sequence[_Unit], unit: _Unit, characters: int) -> bool:
    start = packed[0].start
    if unit.end - start > characters:
        return False
    return packed[-1].headings == unit.headings or packed[-1].end - start < SHORT * characters


def _tail(packed: Sequence[_Unit], unit: _Unit, characters: int, overlap: int) -> list[_Unit]:
    """The last units that the next passage repeats; of another section, none."""
    end = packed[-1].end
    return [
        one
        for one in packed[1:]
        if one.headings == unit.headings
        and end - one.start <= overlap
        and unit.end - one.start <= characters
    ]


def _passage(text: str, packed: Sequence[_Unit]) -> Passage:
    start, end = packed[0].start, packed[-1].end
    headings = packed[0].headings
    for unit in packed:
        headings = _together(headings, unit.headings)
    return Passage(text[start:end], start, end, headings)


def _together(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """The path to two neighbours: the longer where it goes through the other, else what is
    common to both."""
    common = 0
    while common < min(len(one), len(other)) and one[common] == other[common]:
        common += 1
    if common == min(len(one), len(other)):
        return max(one, other, key=len)
    return one[:common]
