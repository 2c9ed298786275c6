"""A request's body: read within a limit, unpacked, decoded, and made into a valid type."""

import asyncio
import zlib
from typing import Any, TypeVar

import msgspec
from backports import zstd
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from canteen.api.errors import HttpError
from canteen.core.errors import InvalidRequest

Body = TypeVar("Body", bound=BaseModel)
# Objects whose members, too, are absent when they are null.
OPTIONS = ("options", "stream_options")
# Unpacking or validating more than this would hold up every stream.
LARGE_BYTES = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


async def read(request: Request, max_bytes: int) -> bytes:
    """The whole body, unpacked; raises InvalidRequest when it is too large or will not unpack."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        chunks.append(chunk)
    raw = b"".join(chunks)
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return raw
    return await asyncio.to_thread(_unpacked, raw, encoding, max_bytes)


async def parse(raw: bytes, schema: type[Body]) -> Body:
    """A valid body; raises InvalidRequest naming the field and what it must be."""
    if len(raw) > LARGE_BYTES:
        return await asyncio.to_thread(_parsed, raw, schema)
    return _parsed(raw, schema)


def _too_large(max_bytes: int) -> HttpError:
    return HttpError(
        413,
        f"the body is larger than {max_bytes} bytes; send less, or raise CANTEEN_MAX_BODY_BYTES",
        code="body_too_large",
        headers={"connection": "close"},
    )


def _unpacked(raw: bytes, encoding: str, max_bytes: int) -> bytes:
    """At most `max_bytes` come out, whatever went in."""
    unpack = {"gzip": _from_gzip, "x-gzip": _from_gzip, "zstd": _from_zstd}.get(encoding)
    if unpack is None:
        raise HttpError(
            415, "the content-encoding must be gzip, zstd or identity", code="unknown_encoding"
        )
    try:
        body, is_whole = unpack(raw, max_bytes + 1)
    except (zlib.error, zstd.ZstdError, EOFError, ValueError) as exc:
        raise _not_packed(encoding) from exc
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    if not is_whole:
        raise _not_packed(encoding)
    return body


def _not_packed(encoding: str) -> InvalidRequest:
    return InvalidRequest(f"the body is not whole and valid {encoding}, which its header says")


def _from_gzip(raw: bytes, max_bytes: int) -> tuple[bytes, bool]:
    unpacking = zlib.decompressobj(wbits=31)
    return unpacking.decompress(raw, max_bytes), unpacking.eof


def _from_zstd(raw: bytes, max_bytes: int) -> tuple[bytes, bool]:
    unpacking = zstd.ZstdDecompressor()
    return unpacking.decompress(raw, max_bytes), unpacking.eof


def _parsed(raw: bytes, schema: type[Body]) -> Body:
    try:
        return schema.model_validate(_without_nulls(_decoded(raw)))
    except ValidationError as exc:
        raise _invalid(exc) from exc
    except RecursionError as exc:
        raise InvalidRequest("the body is nested too deeply", code="invalid_json") from exc


def _decoded(raw: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(raw.removeprefix(BYTE_ORDER_MARK))
    except UnicodeDecodeError as exc:
        raise InvalidRequest("the body is not UTF-8", code="invalid_json") from exc
    except msgspec.DecodeError as exc:
        raise InvalidRequest(f"the body is not valid JSON: {exc}", code="invalid_json") from exc
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object", code="invalid_json")
    return value


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    """JSON null means absent."""
    kept = {key: item for key, item in value.items() if item is not None}
    for key in OPTIONS:
        if isinstance(kept.get(key), dict):
            kept[key] = {name: item for name, item in kept[key].items() if item is not None}
    return kept


def _invalid(error: ValidationError) -> InvalidRequest:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return InvalidRequest(f"{where}: {message}" if where else message, param=where or None)
