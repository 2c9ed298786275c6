"""A request's body: read within a limit, unpacked, decoded, and made into a valid type."""

import zlib
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from canteen.core.errors import InvalidRequest

Body = TypeVar("Body", bound=BaseModel)
# Objects whose members, too, are absent when they are null.
OPTIONS = ("options", "stream_options")


async def read(request: Request, max_bytes: int) -> bytes:
    """The whole body, unpacked; raises InvalidRequest when it is too large or will not unpack."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        chunks.append(chunk)
    return _unpacked(b"".join(chunks), request.headers.get("content-encoding", ""), max_bytes)


async def chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it arrives, for what is too large to be held; raises ClientDisconnect."""
    async for chunk in request.stream():
        if chunk:
            yield chunk


def _too_large(max_bytes: int) -> InvalidRequest:
    return InvalidRequest(
        f"the body is larger than {max_bytes} bytes; send less, or raise CANTEEN_MAX_BODY_BYTES",
        code="body_too_large",
    )


def _unpacked(raw: bytes, encoding: str, max_bytes: int) -> bytes:
    """At most `max_bytes` come out, whatever went in."""
    if encoding in ("", "identity"):
        return raw
    try:
        if encoding == "gzip":
            body = zlib.decompressobj(wbits=31).decompress(raw, max_bytes + 1)
        elif encoding == "zstd":
            body = _from_zstd(raw, max_bytes + 1)
        else:
            raise InvalidRequest(f"content-encoding '{encoding}' is not gzip, zstd or identity")
    except (zlib.error, EOFError, ValueError) as exc:
        raise InvalidRequest(f"the body is not {encoding}, as its content-encoding says") from exc
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


def _from_zstd(raw: bytes, max_bytes: int) -> bytes:
    from backports import zstd

    try:
        return zstd.ZstdDecompressor().decompress(raw, max_bytes)
    except zstd.ZstdError as exc:
        raise ValueError("not zstd") from exc


def parse(raw: bytes, schema: type[Body]) -> Body:
    """A valid body; raises InvalidRequest naming the field and what it must be."""
    try:
        value = msgspec.json.decode(raw or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidRequest(f"the body is not valid JSON: {exc}", code="invalid_json") from exc
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object", code="invalid_json")
    try:
        return schema.model_validate(_without_nulls(value))
    except ValidationError as exc:
        raise _invalid(exc) from exc


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


__all__ = ["ClientDisconnect", "chunks", "parse", "read"]
