"""What changes is in the log: which weights came into memory, when and why."""

import json
from pathlib import Path

import httpx

from canteen.runtime.catalog import Catalog
from tests.conftest import Serve


def test_the_log_tells_which_weights_came_and_went_and_why(serve: Serve, echo_home: Path) -> None:
    server = serve(echo_home)
    digest = Catalog(echo_home).get("echo").digest

    httpx.post(f"{server.url}/api/generate", json={"model": "echo", "keep_alive": 0})
    httpx.post(f"{server.url}/api/generate", json={"model": "echo"})
    assert server.stop() == 0

    lines = [json.loads(one) for one in server.log.read_text().splitlines() if one[:1] == "{"]
    told = [line for line in lines if line["event"] == "model"]
    assert {line["what"] for line in told} >= {"loaded", "unloaded"}
    assert {(line["model"], line["digest"], line["engine"]) for line in told} == {
        ("echo:latest", digest, "echo")
    }
    assert all(line["why"] for line in told)
