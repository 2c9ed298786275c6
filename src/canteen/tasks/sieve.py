"""Sentences as a model writes them: those that hold up against the source are kept."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from canteen.tasks.facts import Source, stems, words
from canteen.tasks.sentences import sentences

Fault = Literal["repeated", "unfounded", "off the text", "unfinished", "no sentence"]

# Below this share of words that are the source's, a sentence is about something else.
LEAST_SHARE = 0.4
# Above this share of words that were said already, a sentence says nothing new.
MOST_REPEATED = 0.8
LEAST_CHARACTERS = 8
# What has no end by then is none, and would be looked through again with every piece.
MOST_CHARACTERS = 2_000
_PREAMBLE = re.compile(
    r"""
    (?:(?:sure|certainly|of\ course|okay|ok)\b[,!.]?\s*)?
    (?:here(?:\ is|\ are|'s|\u2019s)|the\ following\ is|below\ is|(?:in\ )?summary
       |to\ summari[sz]e)\b[^:.\n]{0,80}:\s*
  | (?:in\ (?:summary|short|conclusion)|to\ summari[sz]e|overall)\s*,\s*
    """,
    re.VERBOSE | re.IGNORECASE,
)
_MARK = re.compile(r"(?:[-*•]|\d{1,2}[.)])\s+")
_ENDED = re.compile(r"[.!?…。！？।؟:;][\"'”’»)\]*_]*$")  # noqa: RUF001


@dataclass(slots=True)
class Sieve:
    """Hears text in pieces. At most `most_sentences` of at most `most_words` together are kept,
    but one at least; `on_kept` hears each of them."""

    source: Source
    most_sentences: int
    most_words: int | None = None
    on_kept: Callable[[str], object] = lambda sentence: None
    kept: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    unfounded: list[str] = field(default_factory=list)
    _text: str = ""
    _is_full: bool = False

    def hear(self, piece: str) -> None:
        """Take a piece of the text; all sentences but the last are whole."""
        self._text += piece
        # Sentences end where there is a blank or a mark: nothing has ended without one.
        if not piece[-1:].isalnum():
            spans = sentences(self._text)
            for start, end in spans[:-1]:
                self._judge(self._text[start:end])
            self._text = self._text[spans[-1].start :] if spans else ""
            if len(self._text) > MOST_CHARACTERS:
                self.faults.append("no sentence")
                self._text = ""

    def close(self, *, is_whole: bool) -> None:
        """Take the rest as the last sentence, which is cut short unless the text `is_whole`."""
        for start, end in sentences(self._text):
            sentence = self._text[start:end]
            if is_whole or end < len(self._text.rstrip()) or _ENDED.search(sentence):
                self._judge(sentence)
            else:
                self.faults.append("unfinished")
        self._text = ""

    def _judge(self, said: str) -> None:
        sentence = plain(said)
        if self._is_full or not sentence:
            return
        fault = self._fault(sentence)
        if fault is not None:
            self.faults.append(fault)
        elif self._fits(sentence):
            self.kept.append(sentence)
            self.on_kept(sentence)

    def _fault(self, sentence: str) -> Fault | None:
        is_heading = sentence.startswith("#")
        if is_heading or len(sentence) < LEAST_CHARACTERS or sentence.endswith(":"):
            return "no sentence"
        if self._is_repeated(sentence):
            return "repeated"
        if foreign := self.source.lacks(sentence):
            self.unfounded += foreign
            return "unfounded"
        return "off the text" if self.source.share(sentence) < LEAST_SHARE else None

    def _is_repeated(self, sentence: str) -> bool:
        said = stems(sentence)
        return any(
            len(said & stems(one)) >= MOST_REPEATED * max(1, min(len(said), len(stems(one))))
            for one in self.kept
        )

    def _fits(self, sentence: str) -> bool:
        taken = sum(len(words(one)) for one in [*self.kept, sentence])
        is_over = self.most_words is not None and taken > self.most_words
        self._is_full = is_over or len(self.kept) + 1 >= self.most_sentences
        return not (is_over and self.kept)


def plain(said: str) -> str:
    """A sentence without the mark of a list item, without a preamble, and on one line."""
    sentence = " ".join(said.split())
    stripped = _MARK.sub("", sentence, count=1) if _MARK.match(sentence) else sentence
    found = _PREAMBLE.match(stripped)
    if found is None:
        return stripped
    rest = stripped[found.end() :]
    return rest[:1].upper() + rest[1:]
