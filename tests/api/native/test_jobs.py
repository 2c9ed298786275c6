"""Jobs over HTTP: begun, followed, cancelled, gone on with."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Serve

CHATS = [
    {"prompt": f"How many are {number} and one?", "completion": f"{number + 1}"}
    for number in range(12)
]


@pytest.fixture
def client(echo_home: Path, serve: Serve) -> Iterator[httpx.Client]:
    server = serve(echo_home)
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
        yield client


def submit(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post("/v1/jobs", json={"kind": "finetune", **body})


def test_there_are_no_jobs_at_first(client: httpx.Client) -> None:
    assert client.get("/v1/jobs").json() == {"jobs": []}


def test_an_unknown_job_is_404_in_our_shape(client: httpx.Client) -> None:
    for path in ("", "/events", "/logs", "/report"):
        answer = client.get(f"/v1/jobs/job_0{path}")

        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert "job_0" in answer.json()["detail"]


def test_a_model_without_weights_cannot_be_taught(client: httpx.Client) -> None:
    answer = submit(client, spec={"model": "echo", "name": "taught"}, examples=CHATS)

    assert answer.status_code == 400
    assert "GGUF" in answer.json()["detail"]
    assert client.get("/v1/jobs").json() == {"jobs": []}


def test_a_field_that_a_job_does_not_have_is_named(client: httpx.Client) -> None:
    answer = submit(client, spec={"model": "echo", "name": "taught", "epoch": 3}, examples=CHATS)

    assert answer.status_code == 400
    assert "'epoch'" in answer.json()["detail"]


def test_files_of_the_server_are_not_read_over_http(client: httpx.Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jsonl"
    secret.write_text(json.dumps(CHATS[0]))

    answer = submit(client, spec={"model": "echo", "name": "taught", "data": str(secret)})
    trained = client.post(
        "/v1/jobs", json={"kind": "train", "spec": {"name": "tiny", "corpus": [str(secret)]}}
    )

    assert (answer.status_code, trained.status_code) == (403, 403)
    assert "built-in" in answer.json()["detail"]
