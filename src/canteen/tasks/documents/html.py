"""HTML: the words a reader would see, a blank line between blocks."""

import re

from canteen.core.errors import InvalidRequest
from canteen.tasks.documents.decoding import decoded
from canteen.tasks.documents.document import Document, checked, sections_of

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# Elements that nobody reads as part of the text.
UNREAD = {
    *("script", "style", "template", "noscript", "nav", "svg", "math", "select", "button"),
    "iframe",
}
LINES = {"br", "li", "dt", "dd", "tr", "option", "caption", "figcaption", "summary"}
BLOCKS = {
    *HEADINGS,
    *("address", "article", "aside", "blockquote", "body", "center", "details", "dialog", "div"),
    *("dl", "fieldset", "figure", "footer", "form", "header", "hr", "main", "ol", "p", "pre"),
    *("section", "table", "ul"),
}
CELLS = {"td", "th"}
_CHARSET = re.compile(rb"<meta[^>]{1,200}charset\s*=\s*[\"']?([\w-]{1,40})", re.IGNORECASE)
# What a browser treats as space; a no-break space is not.
_SPACE = re.compile(r"[ \t\n\r\f]+")


def read(data: bytes, param: str, charset: str | None = None) -> Document:
    """The document; its title is the page's, else the first outermost heading."""
    from lxml import etree

    said = _CHARSET.search(data[:2048])
    source = decoded(data, param, charset or (said.group(1).decode() if said else None))
    parser = etree.HTMLParser(target=_Words(), encoding="utf-8")
    try:
        parser.feed(source.encode())
        words: _Words = parser.close()
    except UnicodeEncodeError:
        checked(source, param)
        raise
    except etree.ParserError as exc:
        raise InvalidRequest("this HTML cannot be read", param=param) from exc
    text = checked(words.text(), param)
    first = min(words.headings, key=lambda one: one[1], default=(0, 0, ""))[2]
    title = " ".join("".join(words.title).split())
    return Document(text, title=title or first, sections=sections_of(text, words.headings))


class _Words:
    """Hears tags and text in order, and writes the text; it builds no tree, however deep."""

    def __init__(self) -> None:
        self.headings: list[tuple[int, int, str]] = []
        self.title: list[str] = []
        self._pieces: list[str] = []
        self._length = 0
        self._gap = ""
        self._unread = 0
        self._pre = 0
        self._in_title = False
        self._heading: int | None = None

    def text(self) -> str:
        return "".join(self._pieces)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._unread += tag in UNREAD
        self._pre += tag == "pre"
        if tag == "title":
            self._in_title = True
        self._between(tag)
        if tag in HEADINGS:
            self._heading = len(self._pieces)

    def end(self, tag: str) -> None:
        self._unread -= tag in UNREAD
        self._pre -= tag == "pre"
        if tag == "title":
            self._in_title = False
        if tag in HEADINGS and self._heading is not None:
            self._close_heading(int(tag[1]), self._heading)
        if tag != "br":
            self._between(tag)

    def data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif self._pre and not self._unread:
            self._write(data)
        elif not self._unread:
            self._write_spaced(_SPACE.sub(" ", data))

    def comment(self, data: str) -> None:
        return

    def close(self) -> "_Words":
        return self

    def _write_spaced(self, data: str) -> None:
        if data.startswith(" ") and not self._gap:
            self._gap = " "
        if words := data.strip(" "):
            self._write(words)
            self._gap = " " if data.endswith(" ") else ""

    def _write(self, data: str) -> None:
        gap = self._gap if self._pieces else ""
        self._pieces.append(gap + data)
        self._length += len(gap) + len(data)
        self._gap = ""

    def _between(self, tag: str) -> None:
        """Keep the widest gap asked for since the last word."""
        if tag in BLOCKS:
            self._gap = "\n\n"
        elif tag in LINES and self._gap != "\n\n":
            self._gap = "\n"
        elif tag in CELLS and "\n" not in self._gap:
            self._gap = "\t"

    def _close_heading(self, level: int, first: int) -> None:
        self._heading = None
        written = "".join(self._pieces[first:])
        words = " ".join(written.split())
        if words:
            start = self._length - len(written.lstrip())
            self.headings.append((start, level, words))
