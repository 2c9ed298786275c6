"""A model that can sleep stays in its worker after its keep-alive, and is woken there."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from canteen.runtime.catalog import Catalog
from tests.conftest import Serve
from tests.e2e.chats import until

BODY = {"model": "dozy", "messages": [{"role": "user", "content": "hello"}], "stream": False}


def state(url: str) -> dict[str, Any]:
    told: dict[str, Any] = httpx.get(f"{url}/api/ps").json()["states"].get("dozy:latest", {})
    return told


def test_it_is_shown_asleep_and_answers_when_it_is_asked_again(
    echo_home: Path, serve: Serve
) -> None:
    catalog = Catalog(echo_home)
    catalog.put(replace(catalog.get("echo"), name="dozy", parameters={"sleeps": True}))
    server = serve(echo_home)
    httpx.post(f"{server.url}/api/chat", json={**BODY, "keep_alive": 0.1})
    workers = server.worker_pids()
    asyncio.run(until(lambda: state(server.url).get("state") == "asleep"))
    assert "host memory" in state(server.url)["why"]

    answer = httpx.post(f"{server.url}/api/chat", json=BODY).json()

    assert answer["message"]["content"] == "hello"
    told = state(server.url)
    assert (told["state"], told["last_event"]["what"]) == ("ready", "woken")
    assert server.worker_pids() == workers
    httpx.post(f"{server.url}/api/generate", json={"model": "dozy", "keep_alive": 0})
    assert len(server.worker_pids()) < len(workers)
