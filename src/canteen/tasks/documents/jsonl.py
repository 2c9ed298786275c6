"""JSONL: a document a line, `{"text": ..., "id"?, "title"?, "metadata"?}`."""

import json
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.tasks.documents.document import Document, Section, checked


def read(text: str, param: str) -> list[Document]:
    """The documents; what else a line has is metadata too. Lines without an id are named by
    their content. Raises InvalidRequest, naming the line."""
    # Only a newline ends a line: JSON may have other line separators inside its strings.
    lines = enumerate(text.split("\n"), start=1)
    documents = [document(line, f"{param}, line {n}", param) for n, line in lines if line.strip()]
    twice = len(documents) - len({one.id for one in documents})
    if twice:
        raise InvalidRequest(f"{twice} documents have the id of another", param=param)
    return documents


def document(line: str, where: str, param: str) -> Document:
    """The document of one line; raises InvalidRequest, which tells `where`."""
    fields = _fields(line, where, param)
    text, title = fields.pop("text", None), fields.pop("title", None) or ""
    name, inner = fields.pop("id", None), fields.pop("metadata", None) or {}
    if not isinstance(text, str) or not isinstance(title, str):
        raise InvalidRequest(f"{where}: 'text' and 'title' must be strings", param=param)
    if not isinstance(inner, dict) or not isinstance(name, str | int | None):
        raise InvalidRequest(f"{where}: 'metadata' must be an object, 'id' a string", param=param)
    checked(text, param)
    made = Document(
        text, title=title, sections=(Section(0, len(text)),), metadata={**fields, **inner}
    )
    given = "" if name is None else str(name)
    return Document(
        text,
        given or made.digest,
        title,
        "text/plain",
        made.sections,
        (),
        made.metadata,
    )


def _fields(line: str, where: str, param: str) -> dict[str, Any]:
    try:
        fields = json.loads(line, parse_constant=_refuse)
        # Half a surrogate pair can be written in JSON, and nowhere else.
        json.dumps(fields, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidRequest(
            f"{where}: half of a surrogate pair, which is no character", param=param
        ) from None
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{where}: this is not JSON", param=param) from None
    if not isinstance(fields, dict):
        raise InvalidRequest(f"{where}: this is not a JSON object", param=param)
    return fields


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
