"""Documents in a body: a text, or the bytes of a file in base64."""

import binascii
from base64 import b64decode
from dataclasses import replace

from pydantic import Field

from canteen.api.wire import JsonObject, Wire
from canteen.core.errors import InvalidRequest
from canteen.tasks.documents import Document, read_all
from canteen.tasks.documents.document import checked


class DocumentFile(Wire):
    """A document: `text`, or `data` (text, Markdown, HTML, PDF, JSONL of many documents)."""

    id: str = Field("", description="What it is called; or its name, or a digest of it.")
    text: str | None = Field(None, description="Its text.")
    data: str | None = Field(None, description="Or the bytes of its file, in base64.")
    media_type: str = Field("", description="What the file is; else its name says, or its bytes.")
    name: str = Field("", description="The name of the file.")
    title: str = Field("", description="Its title; or the one that it has itself.")
    metadata: JsonObject | None = Field(None, description="To filter searches by.")


def documents_of(given: DocumentFile, param: str) -> list[Document]:
    """The documents that were sent; raises InvalidRequest, naming a field of `param`."""
    if (given.text is None) == (given.data is None):
        raise InvalidRequest("give text, or data for a file, and not both", param=param)
    if given.data is None:
        found = [Document(checked(given.text or "", f"{param}.text"))]
    else:
        read = decoded(given.data, f"{param}.data")
        names = {"name": given.name, "media_type": given.media_type}
        found = read_all(read, **names, param=f"{param}.data")
    if given.id and len(found) > 1:
        raise InvalidRequest("an id is of one document, and this JSONL has more", param=param)
    return [_completed(one, given) for one in found]


def decoded(data: str, param: str) -> bytes:
    """The bytes of a file; raises InvalidRequest."""
    try:
        return b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidRequest("the document's data is not base64", param=param) from exc


def _completed(document: Document, given: DocumentFile) -> Document:
    """With what the sender says of it."""
    metadata = {**document.metadata, **(given.metadata or {})}
    told = replace(document, title=given.title or document.title, metadata=metadata)
    return replace(told, id=given.id or document.id or told.digest)
