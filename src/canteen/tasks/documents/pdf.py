"""PDF: the text of its pages, in order, a blank line between them."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.tasks.documents.document import Document, Section, checked

MOST_PAGES = 5_000
MOST_CHARACTERS = 64 << 20
BETWEEN = "\n\n"


def read(data: bytes, param: str, charset: str | None = None) -> Document:
    """The document; raises InvalidRequest for one that is locked, scanned or broken."""
    with _understood(param):
        reader = _opened(data, param)
        texts = _pages(reader, param)
        title = str((reader.metadata and reader.metadata.title) or "")
    if not any(text.strip() for text in texts):
        raise InvalidRequest(
            "this PDF has no text, only pictures of pages; run text recognition (OCR) first",
            param=param,
        )
    text = checked(BETWEEN.join(texts), param)
    starts, at = [], 0
    for page in texts:
        starts.append(at)
        at += len(page) + len(BETWEEN)
    sections = (Section(0, len(text)),)
    return Document(text, title=_clean(title).strip(), sections=sections, pages=tuple(starts))


def _opened(data: bytes, param: str) -> Any:
    from pypdf import PdfReader

    reader = PdfReader(BytesIO(data))
    # Many files are locked against changes only, and open with no password.
    if reader.is_encrypted and not reader.decrypt(""):
        raise _locked(param)
    if len(reader.pages) > MOST_PAGES:
        raise InvalidRequest(f"this PDF has more than {MOST_PAGES} pages", param=param)
    return reader


def _pages(reader: Any, param: str) -> list[str]:
    texts, characters = [], 0
    for page in reader.pages:
        text = _clean(page.extract_text())
        texts.append(text)
        characters += len(text)
        if characters > MOST_CHARACTERS:
            raise InvalidRequest(
                f"this PDF has more than {MOST_CHARACTERS} characters", param=param
            )
    return texts


def _clean(text: str) -> str:
    """Without what a broken font table makes of characters."""
    return text.replace("\0", "").encode(errors="replace").decode()


@contextmanager
def _understood(param: str) -> Iterator[None]:
    from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError

    try:
        yield
    except (DependencyError, FileNotDecryptedError) as exc:
        raise _locked(param) from exc
    except (
        PyPdfError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OSError,
        ArithmeticError,
        RecursionError,
        AssertionError,
        NotImplementedError,
    ) as exc:
        raise InvalidRequest("this PDF is broken and cannot be read", param=param) from exc


def _locked(param: str) -> InvalidRequest:
    return InvalidRequest("this PDF is encrypted; remove its password first", param=param)
