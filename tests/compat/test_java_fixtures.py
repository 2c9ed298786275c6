import base64
import gzip
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from canteen.core.model import ModelCard
from canteen.runtime.catalog import Catalog
from tests import serving
from tests.compat.expectations import Exchange, failures
from tests.compat.sockets import Connection, Reply
from tests.conftest import pull
from tests.serving import Server

FIXTURES = Path(__file__).parents[1] / "conformance" / "java-wire"
FILES = sorted(path.stem for path in FIXTURES.glob("*.json") if path.stem != "errors")
HEAD_BYTES = 1024
# Clean refusals that are the honest answer: our models read text only, `m` is on no menu, and
# who asks a model to think that cannot is told so, by Ollama too.
REFUSED = {
    ("*", "chat-image"): 400,
    ("*", "pull"): 404,
    ("*", "dev-services-pull"): 404,
    ("ollama4j", "chat-options"): 400,
}
Json = dict[str, Any]


class Kitchen:
    """Two servers that know one model `m`: here it generates, there it embeds."""

    def __init__(self, folder: Path) -> None:
        self._models: dict[str, tuple[Server, Catalog, ModelCard]] = {}
        for name in ("echo", "echo-embed"):
            catalog = Catalog(pull(folder / name, "echo", name))
            card = replace(
                catalog.get(name), name="m:latest", parameters={"context_length": 1_000_000}
            )
            catalog.put(card)
            environ = {"CANTEEN_MODEL": "echo", "CANTEEN_ALLOWED_HOSTS": "llm.example"}
            server = serving.start(folder / name, folder / f"{name}.log", environ)
            self._models[name] = (server, catalog, card)

    def port(self, path: str) -> int:
        """Where a request goes, by what it asks for; `m` is there, whoever deleted it before."""
        name = "echo-embed" if "embed" in path else "echo"
        server, catalog, card = self._models[name]
        catalog.put(card)
        return server.port

    def close(self) -> None:
        for server, _, _ in self._models.values():
            serving.end(server)


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kitchen]:
    opened = Kitchen(tmp_path_factory.mktemp("kitchen"))
    yield opened
    opened.close()


def in_one_write(raw: bytes) -> list[bytes]:
    return [raw]


def split_at_random(raw: bytes) -> list[bytes]:
    places = sorted(random.Random(len(raw)).sample(range(1, len(raw)), min(5, len(raw) - 1)))
    return [raw[start:end] for start, end in zip([0, *places], [*places, len(raw)], strict=True)]


def byte_by_byte(raw: bytes) -> list[bytes]:
    return [*(raw[at : at + 1] for at in range(min(HEAD_BYTES, len(raw)))), raw[HEAD_BYTES:]]


def raw_of(request: Json) -> bytes:
    if "raw_gzip_base64" in request:
        return gzip.decompress(base64.b64decode(request["raw_gzip_base64"]))
    return base64.b64decode(request["raw_base64"])


def send(connection: Connection, request: Json, cut: Callable[[bytes], list[bytes]]) -> Reply:
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


def concerns(expect: Json, name: str) -> bool:
    return expect["for"] == "*" or name == expect["for"] or name in expect["for"]


class Lines:
    """The connections a library had open, each to the server that its request needs."""

    def __init__(self, kitchen: Kitchen) -> None:
        self._kitchen = kitchen
        self._open: dict[tuple[Any, int], tuple[int, Connection]] = {}

    def of(self, request: Json) -> Connection:
        """The request's own connection, or a new one where the request before it is missing."""
        port = self._kitchen.port(request["path"])
        used = request["connection"]
        key, number = (used["id"], port), used["nth_request"]
        last, connection = self._open.get(key, (0, None))
        if connection is None or last != number - 1:
            if connection is not None:
                connection.close()
            connection = Connection(port)
        self._open[key] = (number, connection)
        return connection

    def close(self) -> None:
        for _, connection in self._open.values():
            connection.close()


@pytest.mark.parametrize("cut", [in_one_write, split_at_random, byte_by_byte])
@pytest.mark.parametrize("library", FILES)
def test_what_a_java_library_sends_is_answered_as_it_needs(
    kitchen: Kitchen, library: str, cut: Callable[[bytes], list[bytes]]
) -> None:
    fixture = json.loads((FIXTURES / f"{library}.json").read_text())
    lines, failed, checked = Lines(kitchen), [], 0

    for request in fixture["requests"]:
        reply = send(lines.of(request), request, cut)
        name = request["name"]
        refused = REFUSED.get((library, name)) or REFUSED.get(("*", name))
        if refused is not None:
            assert reply.status == refused, reply.body
            checked += 1
            continue
        exchange = Exchange(request, reply)
        for expect in fixture["expects"]:
            if concerns(expect, name):
                checked += 1
                failed += [f"{name}: {one}" for one in failures(expect, exchange)]
    lines.close()

    assert failed == []
    assert checked >= len(fixture["requests"])
