"""Where in a text a quote occurs: to the letter, or else but for case, space and spelling of
characters."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cached_property

from canteen.tasks.sentences import Span

# Words of these are written without spaces, or take endings without one.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
)
# One way to write each of these.
_PLAIN = str.maketrans("\u2018\u2019\u201c\u201d\u2010\u2011\u2013\u2014", "''\"\"----")
_JOINER = "\u200d"


class Source:
    """A part of a text that quotes are looked up in."""

    def __init__(self, text: str, start: int = 0, end: int | None = None) -> None:
        self.text = text
        self._start = start
        self.part = text[start:end]

    def places(self, quote: str) -> list[Span]:
        """All places of a quote in the text, in order, apart from one another; none within a word.

        Of each, `text[start:end]` is the quote as the text has it.
        """
        quote = quote.strip()
        if not quote:
            return []
        return self._whole(_occurrences(self.part, quote)) or self._whole(self._alike(quote))

    def _whole(self, spans: Iterable[Span]) -> list[Span]:
        """Those, in the text, that cut neither a word nor a character as people see it."""
        moved = [Span(self._start + span.start, self._start + span.end) for span in spans]
        return [one for one in moved if not (self._is_cut(one.start) or self._is_cut(one.end))]

    def _alike(self, quote: str) -> Iterator[Span]:
        folded, origins = self._folded
        wanted = _fold(quote)[0].strip()
        if not wanted:
            return
        spans = (
            Span(origins[found.start].start, origins[found.end - 1].end)
            for found in _occurrences(folded, wanted)
        )
        # All within a character with many marks are one.
        for start, end in dict.fromkeys(spans):
            # What begins or ends within a folded character is another quote.
            if _fold(self.part[start:end])[0] == wanted:
                yield Span(start, end)

    @cached_property
    def _folded(self) -> tuple[str, list[Span]]:
        return _fold(self.part)

    def _is_cut(self, place: int) -> bool:
        before, after = self.text[place - 1 : place], self.text[place : place + 1]
        if not before or not after:
            return False
        if _extends(after) or before == _JOINER:
            return True
        is_unspaced = _UNSPACED.match(before) or _UNSPACED.match(after)
        return before.isalnum() and after.isalnum() and not is_unspaced


def _occurrences(text: str, quote: str) -> Iterator[Span]:
    place = text.find(quote)
    while place >= 0:
        yield Span(place, place + len(quote))
        place = text.find(quote, place + len(quote))


def _extends(character: str) -> bool:
    """Whether it is a part of the character before: a mark, a joiner, a colour of skin."""
    is_skin = "\U0001f3fb" <= character <= "\U0001f3ff"
    return character == _JOINER or is_skin or unicodedata.category(character).startswith("M")


def _fold(text: str) -> tuple[str, list[Span]]:
    """The text in one spelling, and from which of `text` each of its characters comes."""
    pieces, origins, place = [], list[Span](), 0
    while place < len(text):
        origin = Span(place, _end(text, place))
        piece = _spelt(text[origin.start : origin.end])
        pieces.append(piece)
        origins += [origin] * len(piece)
        place = origin.end
    return "".join(pieces), origins


def _end(text: str, place: int) -> int:
    """Where a run of space, or a character with its marks, ends."""
    is_space = text[place].isspace()
    end = place + 1
    while end < len(text) and (text[end].isspace() if is_space else _extends(text[end])):
        end += 1
    return end


def _spelt(piece: str) -> str:
    if piece.isspace():
        return " "
    return unicodedata.normalize("NFKC", piece).casefold().translate(_PLAIN)
