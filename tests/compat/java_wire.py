"""The Java wire fixtures (see their README): what libraries send, and the ways to send it."""

import base64
import gzip
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.compat.expectations import Exchange, failures
from tests.compat.sockets import Connection, Reply, chunked

FIXTURES = Path(__file__).parents[1] / "conformance" / "java-wire"
LIBRARIES = sorted(path.stem for path in FIXTURES.glob("*.json") if path.stem != "errors")
HEAD_BYTES = 1024

Json = dict[str, Any]
Cut = Callable[[bytes], list[bytes]]


def fixture(name: str) -> Json:
    """The file of a library, or `errors`."""
    content: Json = json.loads((FIXTURES / f"{name}.json").read_text())
    return content


def raw_of(request: Json) -> bytes:
    """The exact bytes, head and body."""
    if "raw_gzip_base64" in request:
        return gzip.decompress(base64.b64decode(request["raw_gzip_base64"]))
    return base64.b64decode(request["raw_base64"])


def send(connection: Connection, request: Json, cut: Cut) -> Reply:
    """Send a request in pieces; who expects 100-continue waits for it before the body."""
    raw = raw_of(request)
    expects = any(name.lower() == "expect" for name, _ in request["headers"])
    if not expects:
        connection.send(*cut(raw))
        return connection.receive(request["method"] == "HEAD")
    head, _, rest = raw.partition(b"\r\n\r\n")
    connection.send(*cut(head + b"\r\n\r\n"))
    interim, _ = connection.head()
    connection.send(rest)
    return replace(connection.receive(), interim=[interim])


def unmet(expects: list[Json], request: Json, reply: Reply) -> list[str]:
    """What a reply owes to the entries of `expects` that name its request."""
    exchange = Exchange(request, reply)
    name = request["name"]
    mine = [one for one in expects if concerns(one, name)]
    return [f"{name}: {failure}" for one in mine for failure in failures(one, exchange)]


def concerns(expect: Json, name: str) -> bool:
    """Whether an expectation is about a request of this name."""
    return expect["for"] == "*" or name == expect["for"] or name in expect["for"]


def in_one_write(raw: bytes) -> list[bytes]:
    """All at once."""
    return [raw]


def split_at_random(raw: bytes) -> list[bytes]:
    """In up to six pieces, the same ones every time."""
    places = sorted(random.Random(len(raw)).sample(range(1, len(raw)), min(5, len(raw) - 1)))
    return [raw[start:end] for start, end in zip([0, *places], [*places, len(raw)], strict=True)]


def byte_by_byte(raw: bytes) -> list[bytes]:
    """The first kilobyte in single bytes."""
    return [*(raw[at : at + 1] for at in range(min(HEAD_BYTES, len(raw)))), raw[HEAD_BYTES:]]


def in_lower_case(raw: bytes) -> list[bytes]:
    """With the names of the headers in lower case, as HTTP/2 gateways write them."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    named = [field.partition(b":") for field in fields]
    return [
        b"\r\n".join([line, *(name.lower() + b":" + value for name, _, value in named)])
        + b"\r\n\r\n"
        + body
    ]


def in_chunks_of(size: int) -> Cut:
    """A chunked body in other chunks; what is not chunked as it is."""

    def cut(raw: bytes) -> list[bytes]:
        head, _, body = raw.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" not in head.lower():
            return [raw]
        return [head + b"\r\n\r\n" + chunked(b"".join(_chunks(body)), size)]

    return cut


def _chunks(body: bytes) -> Iterator[bytes]:
    while size := int(body[: body.index(b"\r\n")], 16):
        start = body.index(b"\r\n") + 2
        yield body[start : start + size]
        body = body[start + size + 2 :]


CUTS: dict[str, Cut] = {
    "in one write": in_one_write,
    "split at random": split_at_random,
    "byte by byte": byte_by_byte,
    "in lower case": in_lower_case,
    **{f"in chunks of {size}": in_chunks_of(size) for size in (1, 7, 4096)},
}
