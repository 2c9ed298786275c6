"""Which reader reads a document: by what its sender says, else its name, else its first bytes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePath

from canteen.core.errors import InvalidRequest
from canteen.tasks.documents import html, jsonl, markdown, pdf
from canteen.tasks.documents.decoding import decoded
from canteen.tasks.documents.document import Document, Section, checked

# The largest upload that is read.
MOST_BYTES = 64 << 20
PLAIN, MARKDOWN, HTML = "text/plain", "text/markdown", "text/html"
PDF, JSONL = "application/pdf", "application/jsonl"
SAME: Mapping[str, str] = {
    "text/x-markdown": MARKDOWN,
    "application/xhtml+xml": HTML,
    "application/x-pdf": PDF,
    "application/x-ndjson": JSONL,
    "application/x-jsonlines": JSONL,
    "application/jsonlines": JSONL,
}
BY_NAME: Mapping[str, str] = {
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".htm": HTML,
    ".html": HTML,
    ".xhtml": HTML,
    ".pdf": PDF,
    ".jsonl": JSONL,
    ".ndjson": JSONL,
}
# What senders say that do not know.
UNKNOWN = ("", "application/octet-stream", "binary/octet-stream")

_Reader = Callable[[bytes, str, str | None], Document]


def read(data: bytes, *, name: str = "", media_type: str = "", param: str = "input") -> Document:
    """The document in `data`; raises InvalidRequest, naming `param`, where there is none.

    `media_type` may carry a charset. JSONL must have one line; `read_all` reads more.
    """
    documents = read_all(data, name=name, media_type=media_type, param=param)
    if len(documents) != 1:
        raise InvalidRequest(
            f"this JSONL has {len(documents)} documents, and one is wanted", param=param
        )
    return documents[0]


def read_all(
    data: bytes, *, name: str = "", media_type: str = "", param: str = "input"
) -> list[Document]:
    """The documents in `data`: the lines of JSONL, else one, whose id is `name`."""
    if len(data) > MOST_BYTES:
        raise InvalidRequest(f"the document has more than {MOST_BYTES} bytes", param=param)
    if not data.strip():
        raise InvalidRequest("the document is empty", param=param)
    kind, charset = _kind(data, name, media_type, param)
    if kind == JSONL:
        return jsonl.read(decoded(data, param, charset), param)
    document = _READERS[kind](data, param, charset)
    document = replace(document, media_type=kind)
    return [replace(document, id=name or document.digest)]


def _kind(data: bytes, name: str, media_type: str, param: str) -> tuple[str, str | None]:
    said, _, rest = media_type.partition(";")
    said = said.strip().lower()
    charset = rest.strip().lower().removeprefix("charset=").strip("\"' ") or None
    if said in UNKNOWN:
        suffix = PurePath(name).suffix.lower()
        return BY_NAME.get(suffix) or _by_content(data), charset
    kind = SAME.get(said, said)
    if kind in _READERS or kind == JSONL:
        return kind, charset
    if kind.startswith("text/"):
        return PLAIN, charset
    known = ", ".join([*_READERS, JSONL])
    raise InvalidRequest(f"media type '{said}' cannot be read; {known} can", param=param)


def _by_content(data: bytes) -> str:
    start = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(b"%pdf-"):
        return PDF
    return HTML if start.startswith((b"<!doctype html", b"<html")) else PLAIN


def _plain(data: bytes, param: str, charset: str | None) -> Document:
    text = checked(decoded(data, param, charset), param)
    return Document(text, sections=(Section(0, len(text)),))


_READERS: Mapping[str, _Reader] = {
    PLAIN: _plain,
    MARKDOWN: markdown.read,
    HTML: html.read,
    PDF: pdf.read,
}
