"""A document: its text, and where in the text its sections and pages are."""

import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from canteen.core.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under a heading up to the next one, the heading included.

    `headings` is the path to it, the outermost first; empty before the first heading.
    """

    start: int
    end: int
    headings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """Offsets count characters of `text`. Sections are in order, and together are the text.

    `pages` are the offsets where pages begin, of a PDF. `id` is what a JSONL line calls itself,
    else what the reader was told, else made of the content.
    """

    text: str
    id: str = ""
    title: str = ""
    media_type: str = "text/plain"
    sections: tuple[Section, ...] = ()
    pages: tuple[int, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The digest of all that a reader could find in it."""
        shown = [self.text, self.title, [list(one.headings) for one in self.sections]]
        metadata = json.dumps(self.metadata, sort_keys=True)
        return "sha256:" + sha256(json.dumps([shown, metadata]).encode()).hexdigest()

    def page(self, offset: int) -> int | None:
        """The number of the page, from 1, that holds a character; None without pages."""
        return bisect_right(self.pages, offset) or None


def sections_of(text: str, headings: list[tuple[int, int, str]]) -> tuple[Section, ...]:
    """Sections from headings in order: where each begins, its level (from 1) and its words."""
    path: list[tuple[int, str]] = []
    starts = [0]
    paths: list[tuple[str, ...]] = [()]
    for start, level, words in headings:
        path = [one for one in path if one[0] < level] + [(level, words)]
        starts.append(start)
        paths.append(tuple(one[1] for one in path))
    ends = [*starts[1:], len(text)]
    found = zip(starts, ends, paths, strict=True)
    return tuple(Section(*one) for one in found if one[0] < one[1])


def checked(text: str, param: str) -> str:
    """The text; raises InvalidRequest where there is nothing to read in it, or no characters."""
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidRequest(
            f"the text has half of a surrogate pair at character {exc.start}, "
            "which is no character; send it as UTF-8",
            param=param,
        ) from None
    if not text.strip():
        raise InvalidRequest("the text is empty", param=param)
    if "\0" in text:
        raise InvalidRequest(
            "the text has NUL characters: a binary file? Send text, Markdown, HTML, PDF or JSONL",
            param=param,
        )
    return text
