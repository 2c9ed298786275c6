from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from canteen.core.model import ModelCard
from canteen.runtime.catalog import Catalog
from tests import serving
from tests.compat import java_wire
from tests.compat.java_wire import LIBRARIES, Cut, Json
from tests.compat.sockets import Connection
from tests.conftest import pull
from tests.serving import Server

# Clean refusals that are the honest answer: our models read text only, `m` is on no menu, and
# who asks a model to think that cannot is told so, by Ollama too.
REFUSED = {
    ("*", "chat-image"): 400,
    ("*", "pull"): 404,
    ("*", "dev-services-pull"): 404,
    ("ollama4j", "chat-options"): 400,
}


class Kitchen:
    """Two servers that know one model `m`: here it generates, there it embeds."""

    def __init__(self, folder: Path, http_processes: int = 1) -> None:
        self._models: dict[str, tuple[Server, Catalog, ModelCard]] = {}
        for name in ("echo", "echo-embed"):
            catalog = Catalog(pull(folder / name, "echo", name))
            card = replace(
                catalog.get(name), name="m:latest", parameters={"context_length": 1_000_000}
            )
            catalog.put(card)
            environ = {
                "CANTEEN_MODEL": "echo",
                "CANTEEN_ALLOWED_HOSTS": "llm.example",
                "CANTEEN_HTTP_PROCESSES": str(http_processes),
            }
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


@pytest.fixture(scope="module")
def kitchen_of_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kitchen]:
    opened = Kitchen(tmp_path_factory.mktemp("kitchen-of-two"), http_processes=2)
    yield opened
    opened.close()


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


@pytest.mark.parametrize("cut", java_wire.CUTS.values(), ids=java_wire.CUTS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_what_a_java_library_sends_is_answered_as_it_needs(
    kitchen: Kitchen, library: str, cut: Cut
) -> None:
    assert_answered(kitchen, library, cut)


@pytest.mark.parametrize("library", LIBRARIES)
def test_two_processes_that_speak_http_answer_as_one_does(
    kitchen_of_two: Kitchen, library: str
) -> None:
    assert_answered(kitchen_of_two, library, java_wire.split_at_random)


def assert_answered(kitchen: Kitchen, library: str, cut: Cut) -> None:
    """Whatever a library sends, cut like that, gets what it needs."""
    fixture = java_wire.fixture(library)
    lines, failed, checked = Lines(kitchen), [], 0

    for request in fixture["requests"]:
        reply = java_wire.send(lines.of(request), request, cut)
        name = request["name"]
        refused = REFUSED.get((library, name)) or REFUSED.get(("*", name))
        if refused is not None:
            assert reply.status == refused, reply.body
            checked += 1
            continue
        checked += sum(java_wire.concerns(expect, name) for expect in fixture["expects"])
        failed += java_wire.unmet(fixture["expects"], request, reply)
    lines.close()

    assert failed == []
    assert checked >= len(fixture["requests"])
