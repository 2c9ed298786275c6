"""Markdown: the text as it is written, with the sections its headings make."""

import itertools
import re

from canteen.tasks.documents.decoding import decoded
from canteen.tasks.documents.document import Document, checked, sections_of

_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n.*?^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r"^title:[ \t]*(\S[^\r\n]*)", re.MULTILINE)
_NEWLINE = re.compile(r"\r\n?|\n")
_MARKUP = re.compile(r"[*_`~]+|!?\[([^][]*+)\](?:\([^)[]*+\))?|\\(?=[!-/:-@[-`{-~])")


def read(data: bytes, param: str, charset: str | None = None) -> Document:
    """The document; its title is the front matter's, else the first outermost heading."""
    text = checked(decoded(data, param, charset), param)
    front = _FRONT_MATTER.match(text)
    begin = front.end() if front else 0
    headings = [(begin + start, level, words) for start, level, words in _headings(text[begin:])]
    named = _TITLE.search(text, 0, begin)
    first = min(headings, key=lambda one: one[1], default=(0, 0, ""))[2]
    title = named.group(1).rstrip().strip("\"'") if named else first
    return Document(text, title=title, sections=sections_of(text, headings))


def _headings(text: str) -> list[tuple[int, int, str]]:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    tokens = parser.parse(text)
    lines = [0, *(newline.end() for newline in _NEWLINE.finditer(text))]
    return [
        (lines[token.map[0]], int(token.tag[1]), _words(inline.content))
        for token, inline in itertools.pairwise(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map
    ]


def _words(content: str) -> str:
    """A heading without its markup, on one line."""
    return " ".join(_MARKUP.sub(lambda found: found.group(1) or "", content).split())
