"""Who asks a front is answered, word for word, as by a service that is one process."""

import re
from collections.abc import AsyncIterator
from functools import reduce
from itertools import zip_longest
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from canteen.api.app import App, create_app
from canteen.api.fronts.translating import Translating
from canteen.bootstrap import Services, build
from canteen.settings import Settings
from tests.api.fronts.line import lines
from tests.serving import set_pace

MESSAGES = [{"role": "user", "content": "one two three"}]
CHAT = {"model": "echo", "messages": MESSAGES, "max_tokens": 5}
# Of one token, since in how many events several come is a matter of time.
STREAMED = {**CHAT, "stream": True, "max_tokens": 1}
LINES = {"model": "echo", "messages": [{"role": "user", "content": "one"}]}
MOST_BYTES = 50_000
# An id, a time, or any other number.
VARYING = re.compile(r"[0-9a-f]{32,64}|\d[\d.:TZe+-]*")
REQUESTS: dict[str, tuple[str, Any]] = {
    "chat": ("/v1/chat/completions", CHAT),
    "chat without the version": ("/chat/completions/", CHAT),
    "two choices": ("/v1/chat/completions", CHAT | {"n": 2}),
    "log-probabilities": ("/v1/chat/completions", CHAT | {"logprobs": True}),
    "tools": (
        "/v1/chat/completions",
        CHAT | {"tools": [{"type": "function", "function": {"name": "add"}}]},
    ),
    "events with the usage": (
        "/v1/chat/completions",
        STREAMED | {"stream_options": {"include_usage": True}},
    ),
    "one prompt": ("/v1/completions", {"model": "echo", "prompt": "a", "stream": True}),
    "several prompts": ("/v1/completions", {"model": "echo", "prompt": ["a b", "c"]}),
    "a response": ("/v1/responses", {"model": "echo", "input": "one two"}),
    "a response as events": ("/v1/responses", {"model": "echo", "input": "one", "stream": True}),
    "embeddings": ("/v1/embeddings", {"model": "echo-embed", "input": ["one", "two"]}),
    "a message": ("/v1/messages", CHAT),
    "a message as events": ("/v1/messages", STREAMED),
    "a count of tokens": ("/v1/messages/count_tokens", {"model": "echo", "messages": MESSAGES}),
    "ollama's chat": ("/api/chat", LINES),
    "ollama's chat, whole": ("/api/chat", LINES | {"stream": False}),
    "ollama's generation": ("/api/generate", {"model": "echo", "prompt": "one"}),
    "a load": ("/api/generate", {"model": "echo"}),
    "ollama's embedding": ("/api/embed", {"model": "echo-embed", "input": "one"}),
    "a model that is not there": ("/v1/chat/completions", CHAT | {"model": "nobody"}),
    "a model of another kind": ("/api/chat", {"model": "echo-embed", "messages": MESSAGES}),
    "a bad field": ("/v1/messages", CHAT | {"temperature": "warm"}),
    "a key that nobody knows": ("/v1/chat/completions", CHAT | {"max_token": 5}),
    "a bad conversation": ("/v1/chat/completions", CHAT | {"metadata": {"conversation_id": ""}}),
    "a prompt that is too long": (
        "/api/generate",
        {"model": "echo", "prompt": "x " * 9000, "stream": False},
    ),
    "a body that is too large": (
        "/api/generate",
        {"model": "echo", "prompt": "x " * MOST_BYTES},
    ),
    "what is no JSON": ("/v1/chat/completions", b"{"),
    "a path that is not there": ("/v1/nowhere", {}),
    "a task": ("/v1/tasks/count", {"text": "one"}),
}


@pytest.fixture
async def services(echo_home: Path) -> AsyncIterator[Services]:
    built = build(Settings(home=echo_home, default_model="echo", max_body_bytes=MOST_BYTES))
    yield built
    await built.close()


@pytest.fixture
def log() -> list[bytes]:
    return []


@pytest.fixture
def app(services: Services, log: list[bytes]) -> App:
    return create_app(services, log.append)


@pytest.fixture
async def alone(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """Asks a service of one process."""
    async with asking(app) as client:
        yield client


@pytest.fixture
async def fronted(app: App, services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """Asks a front."""
    async with lines(app) as (line, _):
        front = Translating(line, services.catalog, most_bytes=MOST_BYTES)
        async with asking(front) as client:
            yield client


def asking(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def told(client: httpx.AsyncClient, path: str, asked: Any) -> tuple[Any, ...]:
    """All of an answer that is not another each time."""
    body = asked if isinstance(asked, bytes) else msgspec.json.encode(asked)
    answer = await client.post(path, content=body)
    headers = {
        name: VARYING.sub("#", text)
        for name, text in answer.headers.items()
        if name != "content-length"
    }
    return answer.status_code, headers, VARYING.sub("#", at_once(answer.text))


def at_once(stream: str) -> str:
    """A stream of one token as its only event, where its events have no types: whether the token
    comes together with the end is a matter of time."""
    lines = (line.removeprefix("data: ") for line in stream.splitlines())
    events = [msgspec.json.decode(line) for line in lines if line.startswith("{")]
    if not events or "type" in events[0]:
        return stream
    return msgspec.json.encode(reduce(said_after, events), order="sorted").decode()


def said_after(first: Any, then: Any) -> Any:
    """What is known of a value after it was told twice."""
    if isinstance(first, dict) and isinstance(then, dict):
        return {key: said_after(first.get(key), then.get(key)) for key in first | then}
    if isinstance(first, list) and isinstance(then, list):
        return [said_after(*pair) for pair in zip_longest(first, then)]
    return then or first


async def test_every_answer_is_that_of_one_process_and_so_is_its_line_of_the_log(
    alone: httpx.AsyncClient, fronted: httpx.AsyncClient, log: list[bytes]
) -> None:
    for name, (path, asked) in REQUESTS.items():
        log.clear()

        expected, got = await told(alone, path, asked), await told(fronted, path, asked)

        assert got == expected, name
        one, other = map(without_what_varies, log)
        assert one == other, name


def without_what_varies(line: bytes) -> dict[str, Any]:
    record: dict[str, Any] = msgspec.json.decode(line)
    return {key: value for key, value in record.items() if not is_varying(key)}


def is_varying(key: str) -> bool:
    return key in ("time", "request_id", "receipt_id", "energy_uj") or key.endswith("_ms")


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_what_a_deadline_cuts_ends_with_the_same_error(
    echo_home: Path, alone: httpx.AsyncClient, fronted: httpx.AsyncClient, is_streamed: bool
) -> None:
    set_pace(echo_home, tokens_per_s=50.0)
    # Time enough for the first word, however busy the machine.
    hurried = {"x-request-timeout": "1.0"}
    body = CHAT | {"max_tokens": 4000, "stream": is_streamed}
    await alone.post("/v1/chat/completions", json=CHAT | {"max_tokens": 1})

    answers = [
        await client.post("/v1/chat/completions", json=body, headers=hurried)
        for client in (alone, fronted)
    ]

    assert [answer.status_code for answer in answers] == [200 if is_streamed else 408] * 2
    endings = [answer.text.splitlines()[-2:] for answer in answers]
    assert "deadline_exceeded" in endings[0][-1] + endings[0][0]
    assert endings[0] == endings[1]


async def test_a_request_with_a_key_of_its_own_is_answered_once(
    fronted: httpx.AsyncClient, log: list[bytes]
) -> None:
    once = {"idempotency-key": "mine"}

    first, second = [
        await fronted.post("/v1/chat/completions", json=CHAT, headers=once) for _ in range(2)
    ]

    assert first.text == second.text
    assert len(log) == 2


async def test_where_bytes_are_recorded_nothing_is_translated(
    app: App, services: Services, alone: httpx.AsyncClient
) -> None:
    async with lines(app) as (line, _):
        front = Translating(line, services.catalog, most_bytes=0)
        async with asking(front) as client:
            got = await told(client, "/v1/messages", CHAT)

    assert got == await told(alone, "/v1/messages", CHAT)
