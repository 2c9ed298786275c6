"""Sentences of a text, by offsets: one pass of a regular expression and a few rules.

Of the libraries tried, pysbd has had no release since 2021; sentencex is fast, but takes all
between two quotation marks, however far apart, for one sentence.
"""

import re
from typing import NamedTuple

# After these a capital letter or a number goes on with the same sentence.
TITLES = {
    *("mr", "mrs", "ms", "dr", "prof", "st", "gen", "rev", "hon", "sen", "rep", "gov", "capt"),
    *("col", "lt", "sgt", "messrs", "mme", "mlle", "hr", "fr", "sr", "jr", "vs", "cf", "e.g"),
    *("i.e", "viz", "approx", "ca", "bzw", "z.b", "d.h", "u.a", "incl", "al"),
}
# After these a number does.
NUMBERED = {
    *("no", "nos", "nr", "fig", "figs", "eq", "eqs", "sec", "ch", "art", "vol", "pp", "p", "pt"),
    *("par", "para", "app", "tab", "abb", "ref", "refs", "ed", "jan", "feb", "mar", "apr", "jun"),
    *("jul", "aug", "sep", "sept", "oct", "nov", "dec"),
}
# After an acronym in dots (U.S., p.m.) these begin a sentence; another capital is its next word.
STARTERS = {
    *("the", "a", "an", "this", "that", "these", "those", "he", "she", "it", "we", "they", "i"),
    *("you", "there", "here", "his", "her", "its", "our", "their", "in", "on", "at", "as", "if"),
    *("when", "while", "but", "and", "so", "for", "after", "before", "however", "then", "what"),
    *("who", "why", "how"),
}
_END = re.compile(
    r"""
    (?<![.!?…؟۔।])(?P<full>[.!?…؟۔।]++)[\"'”’»)\]]*+(?P<space>\s++)  # a mark, what it closes
  | [。！？｡]++[」』”’）]*+\s*+                               # no space is needed
  | \n[^\S\n]*\n\s*                                       # a blank line
  | ^[^\S\n]{0,3}\#{1,6}[^\S\n][^\n]*\n\s*                # a heading of Markdown
  | \n(?=[^\S\n]*(?:[-*•+]|\d{1,3}[.)]|\#{1,6})[^\S\n])   # an item or heading follows
    """,
    re.VERBOSE | re.MULTILINE,
)
# The longest word that is looked at before a full stop.
_WORD = 24


class Span(NamedTuple):
    """From `start` up to and without `end`, in characters."""

    start: int
    end: int


def sentences(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """The sentences of a part of `text`, in order, without the blanks around them.

    Together they hold every character of it that is not blank.
    """
    end = len(text) if end is None else end
    spans, begin = [], start
    for found in _END.finditer(text, start, end):
        if found["full"] and not _ends(text, begin, found):
            continue
        if span := trimmed(text, begin, found.end()):
            spans.append(span)
        begin = found.end()
    if span := trimmed(text, begin, end):
        spans.append(span)
    return spans


def trimmed(text: str, start: int, end: int) -> Span | None:
    """The span without the blanks around it; None where all is blank."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Span(start, end) if start < end else None


def _ends(text: str, begin: int, found: re.Match[str]) -> bool:
    """Whether a mark followed by space ends the sentence that began at `begin`."""
    if found["space"].count("\n") > 1:
        return True
    after = text[found.end() : found.end() + _WORD]
    first = after.lstrip("\"'“‘«([*_")[:1]
    if first.islower():
        return False
    return found["full"] != "." or not _abbreviates(text, begin, found.start(), first, after)


def _abbreviates(text: str, begin: int, dot: int, first: str, after: str) -> bool:
    """Whether the full stop at `dot` belongs to its word and not to the sentence."""
    words = text[max(begin, dot - _WORD) : dot].split()
    word = words[-1].lstrip("\"'“‘«([*_") if words else ""
    lower = word.lower()
    if lower in TITLES or (first.isdigit() and lower in NUMBERED):
        return True
    if word.isdigit():
        # The number of an item, which stands alone before its words.
        return len(word) <= 3 and dot - begin <= len(word) + 3
    if len(word) == 1:
        return word.isupper() and word != "I" and first.isupper()
    is_acronym = "." in word and all(len(part) == 1 for part in word.split("."))
    return is_acronym and re.split(r"\W", after, maxsplit=1)[0].lower() not in STARTERS
