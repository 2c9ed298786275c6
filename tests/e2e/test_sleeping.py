"""A model that can sleep stays in its worker after its keep-alive, and is woken there."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from canteen.runtime.catalog import Catalog
from tests.conftest import Serve
from tests.e2e.chats import until
from tests.serving import WITHIN_S

BODY = {"model": "dozy", "messages": [{"role": "user", "content": "hello"}], "stream": False}


def state(url: str) -> dict[str, Any]:
    answer = httpx.get(f"{url}/api/ps", timeout=WITHIN_S).json()
    told: dict[str, Any] = answer["states"].get("dozy:latest", {})
    return told


def asked(url: str, path: str, body: dict[str, Any]) -> Any:
    # A worker may have to be started first.
    return httpx.post(f"{url}{path}", json=body, timeout=WITHIN_S).json()


def test_it_is_shown_asleep_and_answers_when_it_is_asked_again(
    echo_home: Path, serve: Serve
) -> None:
    catalog = Catalog(echo_home)
    catalog.put(replace(catalog.get("echo"), name="dozy", parameters={"sleeps": True}))
    server = serve(echo_home)
    asked(server.url, "/api/chat", {**BODY, "keep_alive": 0.1})
    workers = server.worker_pids()
    asyncio.run(until(lambda: state(server.url).get("state") == "asleep"))
    assert "host memory" in state(server.url)["why"]

    answer = asked(server.url, "/api/chat", BODY)

    assert answer["message"]["content"] == "hello"
    told = state(server.url)
    assert (told["state"], told["last_event"]["what"]) == ("ready", "woken")
    assert server.worker_pids() == workers
    asked(server.url, "/api/generate", {"model": "dozy", "keep_alive": 0})
    assert len(server.worker_pids()) < len(workers)
