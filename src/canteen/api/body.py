"""A request's body: read within a limit, unpacked, decoded, and made into a valid type."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Set
from contextlib import aclosing, suppress
from functools import cache
from typing import Any, TypeVar

import msgspec
from backports import zstd
from pydantic import AliasChoices, BaseModel, ValidationError
from starlette.requests import Request

from canteen.api.errors import HttpError
from canteen.core.errors import InvalidRequest

Body = TypeVar("Body", bound=BaseModel)
# Objects whose members, too, are absent when they are null.
OPTIONS = ("options", "stream_options")
# Unpacking or validating more than this would hold up every stream.
LARGE_BYTES = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Nobody needs more, and recursive code takes a thousand at most.
MOST_DEPTH = 128
# A sender must bring as much in each such time; who brings less has stalled.
LEAST_BYTES = 1 << 10
PATIENCE_S = 30.0
# What is read of a body that is refused: who is still sending when the connection closes may
# never see the answer.
MOST_REFUSED_BYTES = 64 << 20


async def chunks(request: Request, patience_s: float = PATIENCE_S) -> AsyncGenerator[bytes]:
    """The body in pieces; raises HttpError (408) when its sender has stalled."""
    loop = asyncio.get_running_loop()
    deadline_s, missing = loop.time() + patience_s, LEAST_BYTES
    async with aclosing(request.stream()) as stream:
        while True:
            try:
                async with asyncio.timeout_at(deadline_s):
                    chunk = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise _stalled(patience_s) from None
            missing -= len(chunk)
            if missing <= 0:
                deadline_s, missing = loop.time() + patience_s, LEAST_BYTES
            yield chunk


async def read(request: Request, max_bytes: int, patience_s: float = PATIENCE_S) -> bytes:
    """The whole body, unpacked; raises InvalidRequest when it is too large, has stalled, or will
    not unpack.
    """
    if int(request.headers.get("content-length", 0)) > max_bytes and "expect" in request.headers:
        # The sender waits to be told before it sends.
        raise _too_large(max_bytes)
    raw = bytearray()
    async with aclosing(chunks(request, patience_s)) as pieces:
        async for chunk in pieces:
            raw += chunk
            if len(raw) > max_bytes:
                await _discard(pieces, patience_s)
                raise _too_large(max_bytes)
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return bytes(raw)
    return await asyncio.to_thread(_unpacked, bytes(raw), encoding, max_bytes)


async def parse(raw: bytes, schema: type[Body]) -> tuple[Body, tuple[str, ...]]:
    """A valid body, and the keys that nobody looks at; raises InvalidRequest naming the field and
    what it must be."""
    if len(raw) > LARGE_BYTES:
        return await asyncio.to_thread(_parsed, raw, schema)
    return _parsed(raw, schema)


async def _discard(pieces: AsyncGenerator[bytes], within_s: float) -> None:
    left = MOST_REFUSED_BYTES
    with suppress(HttpError, TimeoutError):
        async with asyncio.timeout(within_s):
            async for chunk in pieces:
                left -= len(chunk)
                if left < 0:
                    return


def _stalled(patience_s: float) -> HttpError:
    return HttpError(
        408,
        f"the body stalled: less than {LEAST_BYTES} bytes came in {patience_s:g} s; send it again",
        code="body_stalled",
        headers={"connection": "close", "x-should-retry": "true"},
    )


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
    return InvalidRequest(
        f"the body is not one whole and valid piece of {encoding}, which its header says"
    )


def _from_gzip(raw: bytes, max_bytes: int) -> tuple[bytes, bool]:
    unpacking = zlib.decompressobj(wbits=31)
    body = unpacking.decompress(raw, max_bytes)
    return body, unpacking.eof and not unpacking.unused_data


def _from_zstd(raw: bytes, max_bytes: int) -> tuple[bytes, bool]:
    unpacking = zstd.ZstdDecompressor()
    body = unpacking.decompress(raw, max_bytes)
    return body, unpacking.eof and not unpacking.unused_data


def valid(value: dict[str, Any], schema: type[Body]) -> Body:
    """A valid body of what was decoded; raises InvalidRequest as `parse` does."""
    try:
        return schema.model_validate(_without_nulls(value))
    except ValidationError as exc:
        raise _invalid(exc) from exc


def _parsed(raw: bytes, schema: type[Body]) -> tuple[Body, tuple[str, ...]]:
    value, known = decoded(raw), _known(schema)
    ignored = (key for key, item in value.items() if item is not None and key not in known)
    return valid(value, schema), tuple(sorted(ignored))


@cache
def _known(schema: type[BaseModel]) -> Set[object]:
    """The keys that a schema has, by each of their names."""
    names: set[object] = set(schema.model_fields)
    for one in schema.model_fields.values():
        alias = one.validation_alias
        names.update(alias.choices if isinstance(alias, AliasChoices) else [alias])
    return names


def decoded(raw: bytes) -> dict[str, Any]:
    """A JSON object; raises InvalidRequest."""
    try:
        value = msgspec.json.decode(raw.removeprefix(BYTE_ORDER_MARK))
    except UnicodeDecodeError as exc:
        raise InvalidRequest("the body is not UTF-8", code="invalid_json") from exc
    except RecursionError as exc:
        raise _too_deep() from exc
    except msgspec.DecodeError as exc:
        raise InvalidRequest(f"the body is not valid JSON: {exc}", code="invalid_json") from exc
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object", code="invalid_json")
    if _is_deep(value):
        raise _too_deep()
    return value


def _too_deep() -> InvalidRequest:
    return InvalidRequest(
        f"the body is nested too deeply; {MOST_DEPTH} levels are the most", code="invalid_json"
    )


def _is_deep(value: Any) -> bool:
    """Level by level, since recursion is what deep nesting breaks."""
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


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
