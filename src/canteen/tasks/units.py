"""A text in the units that are rewritten one by one; all that is between them stays."""

import re
from collections.abc import Iterator

from canteen.tasks.documents import Document
from canteen.tasks.passages import paragraphs, passages
from canteen.tasks.sentences import Span

MOST_CHARACTERS = 1_200
# Blocks of code are never rewritten.
_FENCE = re.compile(r"^(```|~~~)[^\n]*\n.*?(?:^\1[^\n]*$|\Z)", re.MULTILINE | re.DOTALL)
# What begins a heading, an item of a list, a quotation; the words after it are a unit.
_MARK = re.compile(r"[^\S\n]*(?:(?:\#{1,6}|[-*+>•]|\d{1,3}[.)])[^\S\n]+)+")


def units(text: str) -> Iterator[Span]:
    """Paragraphs, headings and items in order, those that are long in pieces; each has a letter."""
    begin = 0
    for fence in _FENCE.finditer(text):
        yield from _prose(text, begin, fence.start())
        begin = fence.end()
    yield from _prose(text, begin, len(text))


def _prose(text: str, start: int, end: int) -> Iterator[Span]:
    for paragraph in paragraphs(text, start, end):
        begin = paragraph.start
        for mark in _marks(text, paragraph):
            yield from _pieces(text, begin, mark.start)
            begin = mark.end
        yield from _pieces(text, begin, paragraph.end)


def _marks(text: str, paragraph: Span) -> Iterator[Span]:
    line = paragraph.start
    while 0 <= line < paragraph.end:
        if found := _MARK.match(text, line, paragraph.end):
            yield Span(*found.span())
        line = text.find("\n", line, paragraph.end) + 1 or -1


def _pieces(text: str, start: int, end: int) -> Iterator[Span]:
    if not text[start:end].strip():
        return
    for piece in passages(Document(text[start:end]), characters=MOST_CHARACTERS):
        if any(letter.isalpha() for letter in piece.text):
            yield Span(start + piece.start, start + piece.end)
