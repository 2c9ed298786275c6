"""A server of one's own to be asked badly, which must be as it was when all is over."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from canteen.runtime.catalog import Catalog
from tests import serving
from tests.conftest import pull
from tests.robustness.processes import assert_untouched, held
from tests.serving import Server

# Small, so that nobody waits for an answer that fills the context.
CONTEXT_LENGTH = 64


def _home(folder: Path) -> Path:
    home = pull(folder, "echo", "echo-embed")
    catalog = Catalog(home)
    card = catalog.get("echo")
    catalog.put(replace(card, parameters={"context_length": CONTEXT_LENGTH}))
    return home


@pytest.fixture(scope="session")
def running_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("target")
    # A key that is made at random would keep everybody else out.
    told = {"CANTEEN_MODEL": "echo", "CANTEEN_KEYS": "off"}
    server = serving.start(_home(folder / "home"), folder / "log", told)
    body = {"model": "echo-embed", "input": "warm", "keep_alive": -1}
    httpx.post(f"{server.url}/api/embed", json=body, timeout=60).raise_for_status()
    # LanceDB opens pipes of its own when it is first asked for.
    httpx.put(f"{server.url}/v1/indexes/warm", json={}, timeout=60).raise_for_status()
    yield server
    serving.end(server)


@pytest.fixture
def target(running_target: Server) -> Iterator[Server]:
    """The server; at the end of the test its workers, files and memory are what they were."""
    before = held(running_target)
    yield running_target
    assert_untouched(running_target, before)
