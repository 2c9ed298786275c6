"""Tasks over HTTP: one input or many, whole or as they are done."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import Server, set_pace

LABELS = ["sports", "politics"]


def post(server: Server, body: dict[str, Any], task: str = "classify") -> httpx.Response:
    asked = {"model": "echo", "labels": LABELS, "method": "score", **body}
    return httpx.post(f"{server.url}/v1/tasks/{task}", json=asked, timeout=60, trust_env=False)


@pytest.fixture
def slow_server(echo_home: Path, serve: Callable[..., Server]) -> Server:
    return serve(set_pace(echo_home, tokens_per_s=40.0))


def frames(answer: httpx.Response) -> Iterator[Any]:
    for line in answer.text.splitlines():
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            yield data if data == "[DONE]" else json.loads(data)


def test_one_input_has_its_result_beside_usage_and_receipt(echo_server: Server) -> None:
    answer = post(echo_server, {"input": "all of sports"})

    told = answer.json()
    assert answer.status_code == 200
    assert told["task"] == "classify"
    assert told["label"] == "sports"
    assert told["prompt_version"] == told["footprint"]["prompt_version"] == "classify/1"
    assert told["usage"]["prompt_tokens"] == told["footprint"]["tokens"]["prompt"] > 0
    assert answer.headers["x-canteen-receipt"] == told["footprint"]["id"]


def test_examples_come_as_objects(echo_server: Server) -> None:
    examples = [{"text": "a goal", "label": "sports"}]

    told = post(echo_server, {"input": "politics", "examples": examples}).json()

    assert told["label"] == "politics"


def test_the_answer_names_the_model_that_worked(echo_server: Server) -> None:
    told = post(echo_server, {"input": "This text is about sports.", "method": None}).json()

    assert told["label"] == "sports"
    assert told["model"] == "echo-embed"
    assert told["prompt_version"] == told["footprint"]["prompt_version"] == "classify-meaning/1"


def test_a_batch_of_one_that_fails_is_told_so_in_its_place(echo_server: Server) -> None:
    whole = post(echo_server, {"inputs": [""]})
    streamed = list(frames(post(echo_server, {"inputs": [""], "stream": True})))

    assert whole.json()["results"][0]["error"]["status"] == 400
    assert streamed[0]["error"]["status"] == 400
    assert streamed[-1] == "[DONE]"


def test_who_leaves_a_stream_leaves_no_error_in_the_log(
    slow_server: Server,
) -> None:
    body = {"model": "echo", "inputs": ["one two three " * 40] * 20, "words": 50, "stream": True}
    with (
        httpx.Client(trust_env=False, timeout=30) as client,
        client.stream("POST", f"{slow_server.url}/v1/tasks/summarize", json=body) as answer,
    ):
        next(answer.iter_bytes())

    deadline_s = time.monotonic() + 20
    while not slow_server.records() and time.monotonic() < deadline_s:
        time.sleep(0.05)

    assert slow_server.records()[-1]["status"] == 200
    assert "Traceback" not in slow_server.log.read_text()


def test_many_inputs_are_answered_in_order_and_fail_by_themselves(echo_server: Server) -> None:
    texts = ["politics", "", "sports", "politics again"]

    told = post(echo_server, {"inputs": texts}).json()

    labels = [one.get("label", "failed") for one in told["results"]]
    assert labels == ["politics", "failed", "sports", "politics"]
    assert told["results"][1]["error"]["detail"] == "the text is empty"
    assert told["results"][1]["error"]["status"] == 400


def test_the_receipt_of_many_inputs_is_kept_as_one(echo_server: Server) -> None:
    told = post(echo_server, {"inputs": ["politics", "sports"]}).json()
    receipt_id = told["footprint"]["id"]

    kept = httpx.get(f"{echo_server.url}/v1/footprint/{receipt_id}", trust_env=False).json()

    assert kept["tokens"]["prompt"] == told["usage"]["prompt_tokens"]
    assert kept["derivation"]["operation"] == "classify"


def test_results_come_as_they_are_done_where_that_is_asked_for(echo_server: Server) -> None:
    answer = post(echo_server, {"inputs": ["politics", "", "sports"], "stream": True})

    told = list(frames(answer))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [one["index"] for one in told[:3]] == [0, 1, 2]
    assert told[0]["label"] == "politics"
    assert told[1]["error"]["status"] == 400
    assert told[3]["footprint"]["prompt_version"] == "classify/1"
    assert told[-1] == "[DONE]"


def test_the_text_of_one_input_comes_piece_by_piece(echo_server: Server) -> None:
    body = {"input": "A first sentence. A second sentence. A third.", "stream": True}

    told = list(frames(post(echo_server, body, "summarize")))

    deltas = [one["delta"] for one in told[:-3]]
    assert deltas
    assert told[-3]["text"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "give input, or inputs"),
        ({"input": "a", "inputs": ["b"]}, 400, "give input, or inputs"),
        ({"inputs": []}, 400, "from 1 to 10,000"),
        ({"input": ""}, 400, "empty"),
        ({"input": "a", "labels": ["one"]}, 400, "from 2 to 256"),
        ({"inputs": ["a", "b"], "labels": ["x", "x"]}, 400, "twice"),
        ({"input": "a", "model": "none"}, 404, "not found"),
        ({"input": "a", "model": "echo-embed"}, 400, "not one that generates"),
        ({"input": 7}, 400, "a text"),
    ],
)
def test_what_cannot_be_done_is_a_problem_that_says_why(
    echo_server: Server, body: dict[str, Any], status: int, said: str
) -> None:
    answer = post(echo_server, body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]


def test_an_error_of_the_only_input_of_a_stream_has_its_own_status(echo_server: Server) -> None:
    answer = post(echo_server, {"input": "", "stream": True})

    assert answer.status_code == 400
    assert answer.json()["detail"] == "the text is empty"
