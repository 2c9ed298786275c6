"""OpenAI's `/v1/files`: the texts that batches read and write."""

import asyncio
from typing import Any

from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from canteen.api.background.background import is_seen_by
from canteen.api.errors import HttpError
from canteen.api.openai.pages import page
from canteen.api.routing import Route, Served
from canteen.api.whole import whole
from canteen.core.errors import InvalidRequest
from canteen.runtime.deferred.files import File
from canteen.runtime.deferred.request import storable

PURPOSE = "batch"
MOST_FILES = 10_000
JSONL = "application/jsonl"


class FileObject(BaseModel):
    """A file; `created_at` is seconds since 1970."""

    id: str
    object: str = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: str = "processed"


class FileList(BaseModel):
    """Files, the newest first."""

    object: str = "list"
    data: list[FileObject]
    has_more: bool


class Deleted(BaseModel):
    """What is gone."""

    id: str
    object: str
    deleted: bool


async def upload(served: Served) -> Response:
    """Keep a file of a batch: a form with `purpose` and `file`."""
    content, filename = await _sent(served)
    files = served.services.deferred.files
    caller_id = served.observe.caller_id
    return whole(_told(await asyncio.to_thread(files.add, caller_id, PURPOSE, filename, content)))


async def every(served: Served) -> Response:
    """The files that the caller may see, a page of them."""
    files = await asyncio.to_thread(served.services.deferred.files.all)
    mine = [_told(one) for one in files if is_seen_by(one.caller_id, served.observe)]
    return whole(page(mine, served.request.query_params, MOST_FILES))


async def show(served: Served) -> Response:
    """What is known of a file."""
    return whole(_told(await found(served.path["id"], served)))


async def content(served: Served) -> Response:
    """The text of a file."""
    file = await found(served.path["id"], served)
    text = await asyncio.to_thread(served.services.deferred.files.content, file.id)
    return Response(text, media_type=JSONL)


async def remove(served: Served) -> Response:
    """Forget a file."""
    file = await found(served.path["id"], served)
    await asyncio.to_thread(served.services.deferred.files.remove, file.id)
    return whole({"id": file.id, "object": "file", "deleted": True})


async def found(file_id: str, served: Served) -> File:
    """A file that the caller may see; raises HttpError (404)."""
    file = await asyncio.to_thread(served.services.deferred.files.get, file_id)
    if file is None or not is_seen_by(file.caller_id, served.observe):
        message = f"no file '{file_id[:64]}'; GET /v1/files lists those there are"
        raise HttpError(404, message, code="file_not_found")
    return file


async def _sent(served: Served) -> tuple[str, str]:
    """The text and the name of what was sent; raises InvalidRequest."""
    most = served.services.settings.max_body_bytes
    request = Request(served.request.scope, _bounded(served.request, most))
    try:
        async with request.form(max_files=1, max_fields=8) as form:
            purpose, file = form.get("purpose"), form.get("file")
            if purpose != PURPOSE:
                raise InvalidRequest(
                    f"purpose must be {PURPOSE}; data to learn from goes to POST /v1/jobs",
                    param="purpose",
                )
            if not isinstance(file, UploadFile):
                raise InvalidRequest("send the file as a part named file", param="file")
            raw = await file.read()
            return _text(raw), storable(file.filename or "upload.jsonl")
    except HTTPException as exc:
        raise InvalidRequest(f"this is no form that can be read: {exc.detail}") from exc


def _text(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InvalidRequest("the file is not UTF-8", param="file") from exc
    if "\0" in text:
        raise InvalidRequest("the file has a NUL character, so it is no text", param="file")
    return text


def _bounded(request: Request, most: int) -> Any:
    """What receives the request, and no more of it than may be."""
    left = most

    async def receive() -> Message:
        nonlocal left
        message = await request.receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HttpError(
                413,
                f"the file is larger than {most} bytes; send several, or raise "
                "CANTEEN_MAX_BODY_BYTES",
                code="body_too_large",
                headers={"connection": "close"},
            )
        return message

    return receive


def _told(file: File) -> dict[str, Any]:
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.num_bytes,
        "created_at": int(file.created_s),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
    }


ROUTES = (
    Route("POST", "/files", upload, None, FileObject, "Keep a file", raw=True, scope="key"),
    Route("GET", "/files", every, None, FileList, "List the files", scope="key"),
    Route("GET", "/files/{id}", show, None, FileObject, "Show a file", scope="key"),
    Route("GET", "/files/{id}/content", content, None, None, "The text of a file", scope="key"),
    Route("DELETE", "/files/{id}", remove, None, Deleted, "Forget a file", scope="key"),
)
