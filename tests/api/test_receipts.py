"""Every dialect tells the receipt in an answer's final object, and its id in a header."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.serving import Server

HEADER = "x-canteen-receipt"
MESSAGES = [{"role": "user", "content": "one two three"}]
CHAT = {"model": "echo", "messages": MESSAGES}
WHOLE = [
    ("/v1/chat/completions", CHAT),
    ("/v1/chat/completions", CHAT | {"n": 3}),
    ("/v1/completions", {"model": "echo", "prompt": ["one", "two"], "n": 2}),
    ("/v1/responses", {"model": "echo", "input": "one two"}),
    ("/v1/messages", CHAT | {"max_tokens": 4}),
    ("/v1/embeddings", {"model": "echo-embed", "input": ["one", "two"]}),
    ("/api/chat", CHAT | {"stream": False}),
    ("/api/generate", {"model": "echo", "prompt": "one two", "stream": False}),
    ("/api/embed", {"model": "echo-embed", "input": ["one", "two"]}),
    ("/api/embeddings", {"model": "echo-embed", "prompt": "one"}),
]
USAGE_TOO = {"stream_options": {"include_usage": True}}
STREAMED = [
    ("/v1/chat/completions", CHAT),
    ("/v1/chat/completions", CHAT | USAGE_TOO),
    ("/v1/chat/completions", CHAT | {"n": 3}),
    ("/v1/completions", {"model": "echo", "prompt": ["one", "two"]}),
    ("/v1/completions", {"model": "echo", "prompt": ["one", "two"], **USAGE_TOO}),
    ("/v1/responses", {"model": "echo", "input": "one two"}),
    ("/api/chat", CHAT),
    ("/api/generate", {"model": "echo", "prompt": "one two"}),
]


@pytest.fixture
def client(echo_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=echo_server.url, trust_env=False) as client:
        yield client


def objects(text: str) -> list[dict[str, Any]]:
    """Those of a stream, in either form; of the responses API the response in each event."""
    lines = (line.removeprefix("data: ") for line in text.splitlines())
    parsed = [json.loads(line) for line in lines if line.startswith("{")]
    return [one["response"] if isinstance(one.get("response"), dict) else one for one in parsed]


@pytest.mark.parametrize(("path", "body"), WHOLE)
def test_a_whole_answer_has_its_receipt(
    client: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    answer = client.post(path, json=body)

    told = answer.json()["footprint"]
    assert told["id"] == answer.headers[HEADER]
    assert told["tokens"]["prompt"] > 0


@pytest.mark.parametrize(("path", "body"), STREAMED)
def test_a_stream_has_it_in_its_last_object_only(
    client: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    answer = client.post(path, json=body | {"stream": True})

    *others, last = objects(answer.text)
    assert last["footprint"]["id"] == answer.headers[HEADER]
    assert last["footprint"]["tokens"]["completion"] > 0
    assert not any("footprint" in one for one in others)


def test_choices_and_prompts_of_one_request_are_on_one_receipt(client: httpx.Client) -> None:
    body = {"model": "echo", "prompt": ["one two", "three"], "n": 2}

    told = client.post("/v1/completions", json=body).json()

    usage, tokens = told["usage"], told["footprint"]["tokens"]
    assert (tokens["prompt"], tokens["completion"]) == (
        usage["prompt_tokens"],
        usage["completion_tokens"],
    )


@pytest.mark.parametrize("path", ["/v1/models", "/api/tags", "/health"])
def test_where_no_model_works_there_is_none(client: httpx.Client, path: str) -> None:
    assert HEADER not in client.get(path).headers


def test_what_is_refused_at_the_door_has_none(client: httpx.Client) -> None:
    answer = client.post("/v1/chat/completions", json=CHAT | {"max_tokens": -1})

    assert answer.status_code == 400
    assert HEADER not in answer.headers


@pytest.mark.parametrize(
    ("headers", "more"),
    [
        ({"x-conversation-id": "talk-1"}, {}),
        ({}, {"metadata": {"conversation_id": "talk-1"}}),
        ({"x-conversation-id": "talk-1"}, {"metadata": {"conversation_id": "talk-2"}}),
    ],
)
def test_a_conversation_is_named_by_header_or_metadata(
    client: httpx.Client, headers: dict[str, str], more: dict[str, Any]
) -> None:
    answer = client.post("/v1/chat/completions", json=CHAT | more, headers=headers)

    receipt = client.get(f"/v1/footprint/{answer.headers[HEADER]}").json()
    assert receipt["derivation"]["conversation_id"] == "talk-1"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/api/chat"])
@pytest.mark.parametrize("told", ["", "x" * 129, "two words", "tab\there"])
def test_a_bad_conversation_id_is_refused(client: httpx.Client, path: str, told: str) -> None:
    body = CHAT | {"input": "one"}

    answer = client.post(path, json=body, headers={"x-conversation-id": told})

    assert answer.status_code == 400
    assert "a conversation id is" in answer.text


@pytest.mark.parametrize("told", ["line\nbreak", 7, ["a"]])
def test_a_bad_conversation_id_in_the_body_is_refused(client: httpx.Client, told: object) -> None:
    body = CHAT | {"metadata": {"conversation_id": told}}

    answer = client.post("/v1/chat/completions", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "conversation_id"


def test_a_task_that_also_embeds_is_counted_of_the_model_that_writes(client: httpx.Client) -> None:
    body = {"input": "She go to school.", "tone": "formal"}

    def counted() -> set[str]:
        lines = client.get("/metrics").text.splitlines()
        return {line for line in lines if "duration_seconds_count" in line and '"rewrite"' in line}

    before = counted()
    told = client.post("/v1/tasks/rewrite", json=body).json()["footprint"]

    (line,) = counted() - before
    assert told["model"] == "echo:latest"
    assert 'model="echo:latest"' in line
