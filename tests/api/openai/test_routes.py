"""The dialect over a socket, as its bytes are."""

import json
from typing import Any

import httpx
import pytest

from tests.serving import Server

HELLO = [{"role": "user", "content": "Grüße 😀 to you"}]
CHAT = {"model": "echo", "messages": HELLO}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}


def post(server: Server, path: str, body: object) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", json=body, timeout=30)


def frames(reply: httpx.Response) -> list[str]:
    """The data of a stream of plain events."""
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["cache-control"] == "no-store"
    events = reply.text.removesuffix("\n\n").split("\n\n")
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    return [event.removeprefix("data: ") for event in events]


def error_of(reply: httpx.Response) -> dict[str, Any]:
    (key,) = reply.json()
    assert key == "error"
    error: dict[str, Any] = reply.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize("prefix", ["/v1", ""])
def test_a_chat_is_answered_with_and_without_the_prefix(echo_server: Server, prefix: str) -> None:
    reply = post(echo_server, f"{prefix}/chat/completions", CHAT)

    body = reply.json()
    assert reply.status_code == 200
    assert body["choices"][0]["message"]["content"] == "Grüße 😀 to you"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert isinstance(body["created"], int)
    assert "error" not in body


def test_a_stream_is_roles_words_end_usage_and_done(echo_server: Server) -> None:
    wish = {"stream": True, "stream_options": {"include_usage": True}}

    *made, done = frames(post(echo_server, "/v1/chat/completions", CHAT | wish))

    parsed = [json.loads(frame) for frame in made]
    *chunks, end, usage = parsed
    assert done == "[DONE]"
    first, *deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert first == {"role": "assistant"}
    assert "".join(delta.pop("content") for delta in deltas) == "Grüße 😀 to you"
    assert not any(deltas)
    assert end["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 4
    assert len({(frame["id"], frame["created"], frame["model"]) for frame in parsed}) == 1


def test_a_stream_without_the_wish_says_no_usage(echo_server: Server) -> None:
    made = frames(post(echo_server, "/v1/chat/completions", CHAT | {"stream": True}))

    assert not any("usage" in json.loads(frame) for frame in made[:-1])


def test_streamed_choices_carry_their_index(echo_server: Server) -> None:
    *made, _ = frames(post(echo_server, "/v1/chat/completions", CHAT | {"stream": True, "n": 3}))

    choices = [json.loads(frame)["choices"][0] for frame in made]
    for index in range(3):
        mine = [choice["delta"] for choice in choices if choice["index"] == index]
        assert "".join(delta.get("content", "") for delta in mine) == "Grüße 😀 to you"
        assert mine[0] == {"role": "assistant"}


def test_a_schema_is_kept(echo_server: Server) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "Person", "schema": SCHEMA}}

    reply = post(echo_server, "/v1/chat/completions", CHAT | {"response_format": wanted})

    person = json.loads(reply.json()["choices"][0]["message"]["content"])
    assert person.keys() == {"name", "age"}


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_tool_is_called(echo_server: Server, choice: str) -> None:
    wish = {"tools": [WEATHER], "tool_choice": choice}

    (made,) = post(echo_server, "/v1/chat/completions", CHAT | wish).json()["choices"]

    assert made["finish_reason"] == "tool_calls"
    (call,) = made["message"]["tool_calls"]
    assert call["type"] == "function"
    assert call["id"]
    assert json.loads(call["function"]["arguments"]).keys() == {"name", "age"}


def test_a_tool_is_called_in_a_stream(echo_server: Server) -> None:
    wish = {"tools": [WEATHER], "tool_choice": "required", "stream": True}

    *made, _ = frames(post(echo_server, "/v1/chat/completions", CHAT | wish))

    choices = [json.loads(frame)["choices"][0] for frame in made]
    _, opening, rest, end = choices
    (first,), (second,) = opening["delta"]["tool_calls"], rest["delta"]["tool_calls"]
    assert (first["index"], first["type"]) == (0, "function")
    assert first["function"]["name"] == "get_weather"
    assert second.keys() == {"index", "function"}
    assert second["function"].keys() == {"arguments"}
    assert end["finish_reason"] == "tool_calls"


def test_several_prompts_are_continued_side_by_side(echo_server: Server) -> None:
    body = {"model": "echo", "prompt": ["one two", "three"]}

    reply = post(echo_server, "/v1/completions", body).json()

    assert reply["object"] == "text_completion"
    assert [choice["text"] for choice in reply["choices"]] == ["one two", "three"]
    assert reply["usage"]["prompt_tokens"] == 3


def test_several_prompts_are_streamed_to_one_end(echo_server: Server) -> None:
    body = {
        "model": "echo",
        "prompt": [[1, 2], [3]],
        "stream": True,
        "stream_options": {"include_usage": True},
    }

    *made, usage, done = frames(post(echo_server, "/v1/completions", body))

    texts = ["", ""]
    for frame in made:
        (choice,) = json.loads(frame)["choices"]
        texts[choice["index"]] += choice["text"]
    assert texts == ["1 2", "3"]
    assert json.loads(usage)["usage"]["total_tokens"] == 6
    assert done == "[DONE]"


@pytest.mark.parametrize(
    ("asked", "num_vectors"), [("alpha", 1), (["alpha", "beta"], 2), ([1, 2], 1), ([[1], [2]], 2)]
)
def test_embeddings_are_floats_by_default(
    echo_server: Server, asked: Any, num_vectors: int
) -> None:
    body = {"model": "echo-embed", "input": asked, "dimensions": 8}

    reply = post(echo_server, "/v1/embeddings", body).json()

    assert [item["index"] for item in reply["data"]] == list(range(num_vectors))
    assert all(len(item["embedding"]) == 8 for item in reply["data"])


def test_a_model_is_found_by_its_short_and_its_full_name(echo_server: Server) -> None:
    listed = httpx.get(f"{echo_server.url}/v1/models").json()["data"]

    assert {"echo:latest", "echo-embed:latest"} <= {model["id"] for model in listed}
    for name in ("echo", "echo:latest"):
        shown = httpx.get(f"{echo_server.url}/v1/models/{name}").json()
        assert shown["id"] == "echo:latest"


def test_a_model_name_may_hold_slashes_and_is_not_found(echo_server: Server) -> None:
    reply = httpx.get(f"{echo_server.url}/v1/models/org/name:tag")

    assert reply.status_code == 404
    assert error_of(reply)["code"] == "model_not_found"
    assert "org/name:tag" in error_of(reply)["message"]


def test_a_response_is_made_of_named_numbered_events(echo_server: Server) -> None:
    body = {"model": "echo", "input": "one two", "stream": True}

    reply = post(echo_server, "/v1/responses", body)

    events = reply.text.removesuffix("\n\n").split("\n\n")
    for number, event in enumerate(events):
        name, data = event.split("\n")
        parsed = json.loads(data.removeprefix("data: "))
        assert name == f"event: {parsed['type']}"
        assert parsed["sequence_number"] == number
    assert parsed["type"] == "response.completed"
    assert parsed["response"]["output"][0]["content"][0]["text"] == "one two"


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("/v1/chat/completions", CHAT | {"temperature": "hot"}, 400, "temperature"),
        ("/v1/chat/completions", CHAT | {"n": 10**9}, 400, "n"),
        ("/v1/chat/completions", CHAT | {"messages": []}, 400, "messages"),
        ("/v1/chat/completions", CHAT | {"logit_bias": {"1": 1}}, 400, "logit_bias"),
        ("/v1/chat/completions", {"messages": HELLO}, 400, "model"),
        ("/v1/chat/completions", CHAT | {"model": "nobody"}, 404, "model"),
        ("/v1/chat/completions", CHAT | {"model": "echo-embed"}, 400, "model"),
        (
            "/v1/chat/completions",
            CHAT | {"logprobs": True, "top_logprobs": 2},
            400,
            "top_logprobs",
        ),
        ("/v1/completions", {"model": "echo", "prompt": "x", "echo": True}, 400, "echo"),
        ("/v1/embeddings", {"model": "echo-embed", "input": "x", "dimensions": 999}, 400, None),
        (
            "/v1/responses",
            {"model": "echo", "input": "x", "background": True, "stream": True},
            400,
            "stream",
        ),
    ],
)
def test_errors_have_the_dialects_shape(
    echo_server: Server, path: str, body: object, status: int, param: str | None
) -> None:
    reply = post(echo_server, path, body)

    assert reply.status_code == status
    error = error_of(reply)
    assert param is None or error["param"] == param
    assert error["message"]


def test_a_message_says_where_a_nested_value_is_wrong(echo_server: Server) -> None:
    messages = [*HELLO, {"role": "wizard", "content": "Hi"}]

    reply = post(echo_server, "/v1/chat/completions", CHAT | {"messages": messages})

    error = error_of(reply)
    assert reply.status_code == 400
    assert "role" in error["param"]
    assert "1" in error["param"]
    assert "assistant" in error["message"]
