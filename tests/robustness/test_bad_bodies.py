"""Bodies that no client in its right mind sends: a refusal in the dialect's shape, and no harm."""

import json
from typing import Any

import httpx
import pytest

from tests.robustness.answers import problem_with
from tests.serving import Server

MEGABYTES = 1 << 20
USER = [{"role": "user", "content": "hello"}]
CHAT: dict[str, Any] = {"model": "echo", "messages": USER}
DIALECTS = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": {"model": "echo", "prompt": "hello"},
    "/v1/responses": {"model": "echo", "input": "hello"},
    "/v1/messages": CHAT | {"max_tokens": 8},
    "/v1/messages/count_tokens": CHAT,
    "/v1/embeddings": {"model": "echo-embed", "input": "hello"},
    "/api/chat": CHAT,
    "/api/generate": {"model": "echo", "prompt": "hello"},
    "/api/embed": {"model": "echo-embed", "input": "hello"},
}
RAW = {
    "nothing": b"",
    "half": b'{"model":"echo"',
    "an array": b"[1,2]",
    "a number": b"7",
    "null": b"null",
    "two objects": b"{}{}",
    "a comment": b'{"model":"echo"/*hi*/}',
    "single quotes": b"{'model':'echo'}",
    "NaN": b'{"model":"echo","temperature":NaN}',
    "invalid UTF-8": b'{"model":"echo","prompt":"\xff\xfe\xfa","input":"\xc3\x28"}',
    "UTF-16": '{"model":"echo"}'.encode("utf-16"),
    "half a surrogate pair": b'{"model":"\\ud800"}',
    "deep arrays": b'{"model":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a long number": b'{"model":"echo","seed":' + b"9" * 100_000 + b"}",
    "binary": bytes(range(256)) * 100,
    "a form": b"model=echo&prompt=hello",
}
ABSURD: list[tuple[str, Any]] = [
    ("temperature", -1),
    ("temperature", 1e308),
    ("temperature", "hot"),
    ("top_p", -0.1),
    ("max_tokens", 0),
    ("max_tokens", -5),
    ("max_tokens", 1e308),
    ("max_tokens", 2**63),
    ("max_completion_tokens", 1.5),
    ("n", 0),
    ("n", 10**9),
    ("n", -1),
    ("seed", 2**64),
    ("stop", ["x"] * 1000),
    ("stop", {"a": 1}),
    ("model", "no-such-model"),
    ("model", "../../etc/passwd"),
    ("model", "x" * 100_000),
    ("model", 7),
    ("messages", []),
    ("messages", {"role": "user"}),
    ("messages", [[]]),
    ("messages", [{"role": "wizard", "content": "x"}]),
    ("messages", [{"role": "user", "content": 7}]),
    ("top_logprobs", 10**6),
    ("stream", "yes"),
    ("response_format", {"type": "json_schema", "json_schema": {"schema": {"type": "dragon"}}}),
    ("response_format", {"type": "xml"}),
    ("tools", [{"type": "function"}]),
    ("tools", [7]),
    ("tool_choice", "perhaps"),
]


def post(target: Server, path: str, **body: Any) -> httpx.Response:
    """The answer; without the certificates, which every client would read anew."""
    return httpx.post(target.url + path, timeout=60, verify=False, **body)


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize("raw", RAW.values(), ids=RAW.keys())
def test_what_is_no_json_object_is_400_in_the_dialects_shape(
    target: Server, path: str, raw: bytes
) -> None:
    answer = post(target, path, content=raw)

    assert answer.status_code == 400
    assert problem_with(answer.status_code, answer.headers, answer.content, path) == ""


@pytest.mark.parametrize(("key", "value"), ABSURD, ids=lambda given: str(given)[:24])
def test_an_absurd_value_is_refused_by_its_name(target: Server, key: str, value: Any) -> None:
    answer = post(target, "/v1/chat/completions", json=CHAT | {key: value})

    assert answer.status_code == (404 if value == "no-such-model" else 400)
    error = answer.json()["error"]
    assert key in error["param"] or key in error["message"]
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("path", [path for path in DIALECTS if "embed" not in path])
def test_a_text_of_10_megabytes_is_too_long(target: Server, path: str) -> None:
    text = "word " * (2 * MEGABYTES)
    body = json.loads(json.dumps(DIALECTS[path]).replace('"hello"', json.dumps(text)))

    answers = [post(target, path, json=body) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {400}
    assert "context" in answers[0].text


def test_a_thousand_keys_and_items_do_no_harm(target: Server) -> None:
    messages = USER * 20_000
    body = CHAT | {f"key{i}": i for i in range(20_000)} | {"messages": messages}

    answer = post(target, "/v1/chat/completions", json=body)

    assert answer.status_code == 200
