"""Every task on the default models with real text: over HTTP, in the shell, from Python."""

import json
import math
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import canteen
from canteen.cli.client import Client
from tests import serving
from tests.serving import CANTEEN, Server, plain_environ

TEXT = (
    "The Antikythera mechanism was found in 1901 in a shipwreck off a Greek island. "
    "It is a hand-powered model of the sky that foretold positions of the Sun and eclipses decades "
    "in advance. Derek Price of Yale University studied it with X-rays in 1971, and wrote to "
    "price@example.org about its thirty bronze gears. Nothing as complex is known for the next "
    "thousand years."
)
LABELS = ["archaeology", "cooking", "football"]
OPTIONS: dict[str, dict[str, Any]] = {
    "summarize": {"sentences": 1, "citations": True},
    "rewrite": {"tone": "friendly"},
    "classify": {"labels": LABELS},
    "extract": {"types": ["email", "person"]},
}


def holds(task: str, told: dict[str, Any]) -> bool:
    """What each task promises of its result, however small the model."""
    if task == "summarize":
        quoted = [TEXT[one["start"] : one["end"]] == one["quote"] for one in told["citations"]]
        return bool(told["text"].strip()) and len(told["text"]) < len(TEXT) and all(quoted)
    if task == "rewrite":
        before = "".join(one["before"] for one in told["diff"])
        after = "".join(one["after"] for one in told["diff"])
        return (before, after) == (TEXT, told["text"])
    if task == "classify":
        total = math.fsum(told["probabilities"].values())
        return told["label"] in LABELS and math.isclose(total, 1.0)
    quotes = [TEXT[one["start"] : one["end"]] == one["quote"] for one in told["found"]]
    return "price@example.org" in [one["quote"] for one in told["found"]] and all(quotes)


@pytest.fixture(scope="module")
def home(model_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return serving.linked_copy(model_home, tmp_path_factory.mktemp("tasks") / "home")


@pytest.fixture(scope="module")
def server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = serving.start(home, tmp_path_factory.mktemp("serve") / "serve.log")
    yield server
    serving.end(server)


def post(server: Server, path: str, body: dict[str, Any]) -> Any:
    answer = httpx.post(f"{server.url}{path}", json=body, timeout=170, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("task", OPTIONS)
def test_a_task_keeps_its_promise_over_http_and_does_so_again(server: Server, task: str) -> None:
    body = {"input": TEXT, **OPTIONS[task]}

    first, again = (post(server, f"/v1/tasks/{task}", body) for _ in range(2))

    assert holds(task, first)
    assert first["footprint"]["energy_uj"]["prefill"] > 0
    around = ("id", "footprint", "usage")
    assert {k: v for k, v in first.items() if k not in around} == {
        k: v for k, v in again.items() if k not in around
    }


def test_the_client_gives_the_same_from_python(server: Server) -> None:
    with Client(server.url) as client:
        told = client.classify([TEXT, ""], LABELS)

    assert told[0]["label"] in LABELS
    assert isinstance(told[1], Exception)


def test_every_task_runs_from_python(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANTEEN_HOME", str(home))

    with canteen.LLM() as llm:
        classified = llm.classify(TEXT, LABELS)
        extracted = llm.extract(TEXT, types=["email"])
        summarized = llm.summarize(TEXT, sentences=1)
        rewritten = llm.rewrite(TEXT, tone="friendly")

    assert classified.label in LABELS
    assert [one.quote for one in extracted.found] == ["price@example.org"]
    assert summarized.text.strip()
    assert rewritten.text.strip()


SHELL = {
    "classify": [f"--label={label}" for label in LABELS],
    "summarize": ["--sentences=1"],
    "rewrite": ["--tone=friendly"],
    "extract": ["--type=email"],
}


@pytest.mark.parametrize("task", SHELL)
def test_every_task_runs_in_the_shell(home: Path, task: str) -> None:
    done = subprocess.run(
        [*CANTEEN, task, "--json", *SHELL[task], TEXT],
        env=plain_environ(home),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_documents_are_indexed_searched_and_reranked(server: Server) -> None:
    name = "finds"
    httpx.put(f"{server.url}/v1/indexes/{name}", json={}, timeout=60, trust_env=False)
    documents = [
        {"id": "mechanism", "text": TEXT},
        {"id": "bread", "text": "Bread is made of flour, water and salt, and baked for an hour."},
        {"id": "offside", "text": "A player is offside when nearer to the goal than the ball."},
    ]
    post(server, f"/v1/indexes/{name}/documents", {"documents": documents})
    query = "an ancient machine that shows the sky"

    found = post(server, f"/v1/indexes/{name}/search", {"query": query, "limit": 3})
    texts = [one["text"] for one in documents]
    ranked = {
        model: post(server, "/v1/rerank", {"model": model, "query": query, "documents": texts})[
            "results"
        ]
        for model in ("all-minilm", "smollm2:135m")
    }

    assert found["hits"][0]["document"] == "mechanism"
    assert ranked["all-minilm"][0]["index"] == 0
    assert sorted(one["index"] for one in ranked["smollm2:135m"]) == [0, 1, 2]
