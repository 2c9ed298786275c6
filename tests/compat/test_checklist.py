"""The checklist of what a drop-in must do, against the packaged entry point, by number."""

import base64
import gzip
import json
import re
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.compat.readers import READERS
from tests.compat.sockets import H2C, Connection, chunked, connected, head
from tests.serving import Server, set_pace

CHAT_PATH = "/v1/chat/completions"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
# What java.time.Instant.parse reads.
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
BEARS_SILENCE_S = 3
TESTS = Path(__file__).parents[1]
# Items, or parts of them, that have a home of their own.
ELSEWHERE = (
    (1, "compat/test_jdk.py", "test_the_http_client_of_the_jdk_posts_streams_and_cancels"),
    (9, "api/openai/test_render.py", "test_a_streamed_call_says_its_id_and_name_once"),
    (10, "compat/test_errors_fixture.py", "test_a_stream_that_breaks_off_tells_every_library"),
    (12, "compat/test_errors_fixture.py", "test_who_asks_for_more_than_its_share_is_told_so"),
    (12, "compat/test_errors_fixture.py", "test_whose_quota_is_gone_is_told_not_to_come_again"),
    (13, "e2e/test_overload.py", "test_a_deadline_that_cannot_be_met_is_refused_at_once"),
    (13, "e2e/test_overload.py", "test_no_work_runs_past_its_deadline"),
    (14, "e2e/test_disconnect.py", "test_who_leaves_is_let_go_of_within_two_steps"),
    (16, "compat/test_errors_fixture.py", "test_an_error_is_one_that_the_library_can_read"),
    (16, "compat/test_errors_fixture.py", "test_who_shows_no_good_key_is_told_so"),
    (19, "compat/test_waiting.py", "test_a_connection_that_was_idle_for_a_minute_is_still_good"),
)

Json = dict[str, Any]


def chat(text: str = "hello", **keys: Any) -> Json:
    return {"model": "echo", "messages": [{"role": "user", "content": text}], **keys}


def post(server: Server, path: str, body: Any, **headers: str) -> httpx.Response:
    """A body is sent as JSON; bytes are sent as they are, with no Content-Type."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(f"{server.url}{path}", content=content, headers=headers, timeout=60)


def said(reply: httpx.Response) -> str:
    assert reply.status_code == 200, reply.text
    text: str = reply.json()["choices"][0]["message"]["content"]
    return text


def frames(reply: httpx.Response) -> list[Json]:
    data = [line.removeprefix("data: ") for line in reply.text.splitlines() if line]
    return [json.loads(one) for one in data if one != "[DONE]"]


def exchange(connection: Connection, body: bytes, *fields: tuple[str, Any], size: int = 0) -> str:
    """What a chat on a bare socket says; in chunks of `size`, if that is given."""
    length = ("Transfer-Encoding", "chunked") if size else ("Content-Length", len(body))
    sent = chunked(body, size) if size else body
    connection.send(head("POST", CHAT_PATH, [("Host", "localhost"), length, *fields]) + sent)
    reply = connection.receive()
    assert reply.status == 200, reply.body
    text: str = json.loads(reply.body)["choices"][0]["message"]["content"]
    return text


def test_01_bodies_offered_for_h2c_arrive_whole_one_after_the_other(echo_server: Server) -> None:
    with connected(echo_server.port) as connection:
        for text in ("hello", "w" * 200_000):
            body = json.dumps(chat(text)).encode()
            assert exchange(connection, body, *H2C) == text
            assert exchange(connection, body, *H2C, size=4096) == text


def test_02_openai_answers_with_and_without_v1_and_explains_two(echo_server: Server) -> None:
    for path in (CHAT_PATH, "/chat/completions"):
        assert said(post(echo_server, path, chat())) == "hello"

    doubled = post(echo_server, f"/v1{CHAT_PATH}", chat())

    assert doubled.status_code == 404
    assert "/v1" in doubled.json()["error"]["message"]


def test_03_json_needs_no_content_type_on_any_route(echo_server: Server) -> None:
    document = httpx.get(f"{echo_server.url}/openapi.json").json()
    takes_json = [
        (method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]

    assert len(takes_json) >= 14
    for method, path in takes_json:
        reply = httpx.request(method, f"{echo_server.url}{path}", content=b"[1]")
        # It has been read as what it is.
        assert "the body must be a JSON object" in reply.text, (path, reply.text)


@pytest.mark.parametrize("is_ascii", [True, False], ids=["escaped", "UTF-8"])
def test_04_slashes_spaces_and_surrogate_pairs_round_trip(
    echo_server: Server, is_ascii: bool
) -> None:
    text = "Grüße 😀 中文 \u2028 \x00"
    body = json.dumps(chat(text), indent=4, ensure_ascii=is_ascii).encode()

    assert said(post(echo_server, f"{CHAT_PATH}/", body)) == text


@pytest.mark.parametrize("path", [CHAT_PATH, "/api/chat"])
def test_05_unknown_fields_are_accepted(echo_server: Server, path: str) -> None:
    body = chat(stream=False, top_k=20, useTools=True, x={"deep": [1]}, options={"new": 1})

    assert post(echo_server, path, body).status_code == 200


def test_06_base64_holds_the_same_float32_values(echo_server: Server) -> None:
    asked = {"model": "echo-embed", "input": "a text"}

    packed, plain = (
        post(echo_server, "/v1/embeddings", {**asked, "encoding_format": form}).json()["data"][0]
        for form in ("base64", "float")
    )

    raw = base64.b64decode(packed["embedding"])
    as_float32 = struct.pack(f"<{len(plain['embedding'])}f", *plain["embedding"])
    assert raw == as_float32


@pytest.mark.parametrize(
    ("given", "number"), [("a", 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2)]
)
def test_07_all_four_forms_of_input_are_embedded(
    echo_server: Server, given: Any, number: int
) -> None:
    made = post(echo_server, "/v1/embeddings", {"model": "echo-embed", "input": given}).json()

    assert [item["index"] for item in made["data"]] == list(range(number))


@pytest.mark.parametrize("is_asked", [True, False])
def test_08_usage_comes_in_one_frame_without_choices_if_asked(
    echo_server: Server, is_asked: bool
) -> None:
    body = chat("a b", stream=True, stream_options={"include_usage": is_asked})

    made = frames(post(echo_server, CHAT_PATH, body))

    bare = [frame for frame in made if frame["choices"] == []]
    assert len(bare) == is_asked
    assert all(frame["usage"]["completion_tokens"] == 2 for frame in bare)
    assert not any(frame.get("usage") for frame in made if frame["choices"])


def test_09_a_calls_first_delta_names_it_and_the_others_only_go_on(echo_server: Server) -> None:
    body = chat(stream=True, tools=[TOOL], tool_choice="required")

    made = frames(post(echo_server, CHAT_PATH, body))

    deltas = [frame["choices"][0]["delta"].get("tool_calls", []) for frame in made]
    first, *rest = [call for calls in deltas for call in calls]
    assert first.keys() == {"index", "id", "type", "function"}
    assert first["function"]["name"] == "get_weather"
    assert all(call.keys() == {"index", "function"} for call in rest)
    assert all(call["function"].keys() == {"arguments"} for call in rest)
    assert made[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_11_silence_is_filled_with_pings_of_one_newline_in_sse_only(
    echo_home: Path, serve: Callable[..., Server]
) -> None:
    """A client that says what silence it bears is beaten for three times as often."""
    server = serve(set_pace(echo_home, prefill_tokens_per_s=0.5))
    bodies: dict[str, Json] = {CHAT_PATH: chat(stream=True), "/api/chat": chat(stream=True)}
    with connected(server.port) as sse, connected(server.port) as ndjson:
        for connection, (path, asked) in zip((sse, ndjson), bodies.items(), strict=True):
            body = json.dumps(asked).encode()
            fields = [("Host", "localhost"), ("Content-Length", len(body))]
            fields += [("X-Stainless-Read-Timeout", BEARS_SILENCE_S)]
            connection.send(head("POST", path, fields) + body)
        beaten, quiet = sse.receive(), ndjson.receive()

    assert beaten.pieces[0] == b": ping\n"
    assert b": ping\n\n" not in beaten.body
    assert not any(fails(beaten.body.decode()) for fails in READERS["openai"])
    assert beaten.body.endswith(b"data: [DONE]\n\n")
    assert b"ping" not in quiet.body
    assert not any(fails(quiet.body.decode()) for fails in READERS["ollama"])


def test_15_done_is_the_last_event_of_a_good_stream(echo_server: Server) -> None:
    reply = post(echo_server, CHAT_PATH, chat(stream=True))

    assert reply.text.endswith("data: [DONE]\n\n")
    assert reply.text.count("[DONE]") == 1


DIALECTS: dict[str, tuple[str, Callable[[Json], bool]]] = {
    "OpenAI": ("/v1/chat/completions", lambda body: body["error"]["message"]),
    "Ollama": ("/api/chat", lambda body: isinstance(body["error"], str)),
    "Anthropic": (
        "/v1/messages",
        lambda body: body["type"] == "error" and body["error"]["message"],
    ),
    "ours": ("/v1/tasks/summarize", lambda body: body["status"] >= 400 and body["detail"]),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_16_each_dialect_has_its_own_shape_of_refusals(echo_server: Server, dialect: str) -> None:
    path, has_shape = DIALECTS[dialect]
    chat_with = {"max_tokens": 1, **chat("hello")}
    told: Json = {"input": "hello"} if dialect == "ours" else chat_with

    refused = {
        400: post(echo_server, path, b"no json"),
        404: post(echo_server, path, {**told, "model": "nobody"}),
        405: httpx.put(f"{echo_server.url}{path}"),
    }

    for status, reply in refused.items():
        assert (reply.status_code, bool(has_shape(reply.json()))) == (status, True), reply.text
        assert reply.headers["x-request-id"]


@pytest.mark.parametrize("bearer", [None, "", "Bearer", "Bearer anything at all"])
def test_17_without_keys_any_bearer_will_do(echo_server: Server, bearer: str | None) -> None:
    headers = {} if bearer is None else {"Authorization": bearer}

    assert said(post(echo_server, CHAT_PATH, chat(), **headers)) == "hello"


def test_18_who_expects_100_continue_is_told_to_go_on(echo_server: Server) -> None:
    body = json.dumps(chat()).encode()
    fields = [("Host", "localhost"), ("Content-Length", len(body)), ("Expect", "100-continue")]
    with connected(echo_server.port) as connection:
        connection.send(head("POST", CHAT_PATH, fields))
        interim, _ = connection.head()
        connection.send(body)

        assert (interim, connection.receive().status) == (100, 200)


def test_20_a_gzipped_body_is_read(echo_server: Server) -> None:
    packed = gzip.compress(json.dumps(chat("packed")).encode())

    assert said(post(echo_server, CHAT_PATH, packed, **{"Content-Encoding": "gzip"})) == "packed"


def test_20_pipelined_requests_are_answered_in_their_order(echo_server: Server) -> None:
    bodies = [json.dumps(chat(text)).encode() for text in ("one", "two")]
    requests = [
        head("POST", CHAT_PATH, [("Host", "localhost"), ("Content-Length", len(body))]) + body
        for body in bodies
    ]
    with connected(echo_server.port) as connection:
        connection.send(b"".join(requests))
        replies = [json.loads(connection.receive().body) for _ in requests]

    assert [reply["choices"][0]["message"]["content"] for reply in replies] == ["one", "two"]


def test_21_every_time_of_ollama_is_an_instant_of_java(echo_server: Server) -> None:
    model = {"model": "echo"}
    replies = [
        post(echo_server, "/api/chat", chat("a b")),
        post(echo_server, "/api/generate", {**model, "prompt": "a b"}),
        post(echo_server, "/api/chat", chat("a b", stream=False)),
        post(echo_server, "/api/generate", {**model, "prompt": "a b", "stream": False}),
        post(echo_server, "/api/show", model),
        httpx.get(f"{echo_server.url}/api/tags"),
        httpx.get(f"{echo_server.url}/api/ps"),
    ]

    for reply in replies:
        times = re.findall(r'"(?:created_at|modified_at|expires_at)":"([^"]*)"', reply.text)
        assert times, reply.text
        assert all(INSTANT.fullmatch(time) for time in times)


def test_22_the_id_of_a_trace_is_in_the_log_of_its_request(echo_server: Server) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01", "X-Request-Id": "traced"}

    post(echo_server, CHAT_PATH, chat(), **headers)

    while not (found := [one for one in echo_server.records() if one["request_id"] == "traced"]):
        time.sleep(0.01)
    assert [record["trace_id"] for record in found] == [trace_id]


def test_23_a_request_id_returns_and_a_fresh_one_is_made(echo_server: Server) -> None:
    given = post(echo_server, CHAT_PATH, chat(), **{"X-Request-Id": "mine-42"})
    fresh = [post(echo_server, CHAT_PATH, chat()).headers["x-request-id"] for _ in range(2)]

    assert given.headers["x-request-id"] == "mine-42"
    assert len(set(fresh)) == 2


def test_every_item_of_the_list_has_a_test() -> None:
    here = {int(found) for found in re.findall(r"def test_(\d\d)_", Path(__file__).read_text())}

    for _, path, name in ELSEWHERE:
        assert name in (TESTS / path).read_text(), name
    assert here | {item for item, _, _ in ELSEWHERE} == set(range(1, 24))
