"""The audit of requests: who, what and when, on the disk before the answer ends."""

import asyncio
import hashlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from canteen.api.app import App, create_app
from canteen.bootstrap import Services, build
from canteen.metering.audit.book import FILE, FOLDER, verify
from canteen.settings import Settings
from tests.conftest import Serve
from tests.serving import set_pace

CHAT = {"model": "echo", "messages": [{"role": "user", "content": "canary in the mine"}]}
QUESTION = "/v1/chat/completions"


@pytest.fixture
async def services(echo_home: Path) -> AsyncIterator[Services]:
    built = build(Settings(home=echo_home, default_model="echo", audit=True))
    yield built
    await built.close()


@pytest.fixture
def lines() -> list[bytes]:
    return []


@pytest.fixture
async def asked(services: Services, lines: list[bytes]) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(services, lines.append)
    async with client_of(app) as client:
        yield client
    app.close()


def client_of(app: App) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


def records(home: Path) -> list[dict[str, Any]]:
    text = (home / FOLDER / FILE).read_bytes()
    return [json.loads(line) for line in text.splitlines()]


async def test_a_record_says_who_what_and_when_and_has_hashes_in_place_of_texts(
    asked: httpx.AsyncClient, echo_home: Path, lines: list[bytes]
) -> None:
    body = json.dumps(CHAT).encode()
    answer = await asked.post(
        QUESTION,
        content=body,
        headers={"content-type": "application/json", "x-end-user": "ada", "x-api-key": "secret"},
    )

    start, record = records(echo_home)
    line = json.loads(lines[-1])
    assert start["event"] == "start"
    assert set(start["models"]) == {"echo:latest", "echo-embed:latest"}
    assert start["settings"]["CANTEEN_AUDIT"] == "True"
    assert record["input_sha256"] == hashlib.sha256(body).hexdigest()
    assert record["output_sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert (record["who"], record["on_behalf_of"]) == (line["caller"], "ada")
    assert (record["operation"], record["model"], record["decision"]) == ("chat", "echo", "done")
    assert record["digest"] == start["models"]["echo:latest"]
    assert (record["prompt_tokens"], record["completion_tokens"]) == (4, 4)
    assert record["receipt_id"] == answer.headers["x-canteen-receipt"] == line["receipt_id"]
    assert record["request_id"] == line["request_id"]
    assert record["hash"] == line["audit"]
    text = (echo_home / FOLDER / FILE).read_text()
    assert "canary" not in text
    assert "secret" not in text


async def test_a_stream_is_recorded_before_its_last_piece_is_sent(
    services: Services, echo_home: Path
) -> None:
    set_pace(echo_home, tokens_per_s=100)
    app = create_app(services, lambda line: None)
    sent: list[dict[str, Any]] = []
    known: list[int] = []

    async def send(message: Any) -> None:
        sent.append(message)
        known.append(len(records(echo_home)))

    await app(_scope(), _body({**CHAT, "stream": True}), send)

    app.close()
    bodies = [message for message in sent if message["type"] == "http.response.body"]
    assert len(bodies) > 1
    assert known[0] == 1
    assert known[-1] == 2
    whole = b"".join(message["body"] for message in bodies)
    assert records(echo_home)[1]["output_sha256"] == hashlib.sha256(whole).hexdigest()


async def test_reading_is_not_recorded_and_a_refusal_is(
    asked: httpx.AsyncClient, echo_home: Path
) -> None:
    await asked.get("/v1/models")
    await asked.get("/metrics")
    await asked.get("/v1/models", headers={"origin": "http://evil.test"})
    await asked.post(QUESTION, json={**CHAT, "model": "nobody"})

    told = [(one["route"], one["status"], one["decision"]) for one in records(echo_home)[1:]]
    assert told == [("/v1/models", 403, "forbidden"), (QUESTION, 404, "model_not_found")]


async def test_what_cannot_be_recorded_is_not_answered_and_then_not_begun(
    services: Services, echo_home: Path
) -> None:
    path = echo_home / FOLDER / FILE
    path.parent.mkdir()
    path.symlink_to("/dev/full")
    app = create_app(services, lambda line: None)
    async with client_of(app) as client:
        answers = [await client.post(QUESTION, json=CHAT) for _ in range(2)]
        metrics = await client.get("/metrics")

    assert [answer.status_code for answer in answers] == [503, 503]
    for answer in answers:
        assert answer.json()["error"]["code"] == "audit_unavailable"
        assert answer.headers["retry-after"] == "5"
        assert "canary" not in answer.text
    assert "canteen_audit_trouble 1.0" in metrics.text
    app.close()


async def test_a_caller_who_leaves_is_recorded(services: Services, echo_home: Path) -> None:
    app = create_app(services, lambda line: None)
    body = json.dumps({**CHAT, "stream": True}).encode()
    messages = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0) if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        pass

    await app(_scope(), receive, send)

    app.close()
    assert [one["event"] for one in records(echo_home)] == ["start", "request"]
    assert verify(echo_home / FOLDER / FILE).is_whole


async def test_every_answer_that_came_before_a_kill_is_on_record(
    serve: Serve, echo_home: Path
) -> None:
    server = serve(echo_home, CANTEEN_AUDIT="1")
    answered: set[str] = set()
    # Every answer waits for the disk, which may be busy.
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:

        async def ask() -> None:
            while len(answered) < 60:
                answer = await client.post(QUESTION, json=CHAT)
                answered.add(answer.headers["x-request-id"])

        await asyncio.gather(*(ask() for _ in range(8)))
        killed = asyncio.gather(*(ask_on(client, answered) for _ in range(8)))
        await asyncio.sleep(0)
        server.stop(signal.SIGKILL)
        await killed

    path = echo_home / FOLDER / FILE
    assert verify(path).is_whole
    assert answered <= {one.get("request_id") for one in records(echo_home)}
    again = serve(echo_home, CANTEEN_AUDIT="1")
    async with httpx.AsyncClient(base_url=again.url, timeout=60) as client:
        await client.post(QUESTION, json=CHAT)
    again.stop()
    assert verify(path).is_whole


async def ask_on(client: httpx.AsyncClient, answered: set[str]) -> None:
    """Until the service is gone."""
    while True:
        try:
            answer = await client.post(QUESTION, json=CHAT)
        except httpx.TransportError:
            return
        answered.add(answer.headers["x-request-id"])


def _scope() -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": QUESTION,
        "raw_path": QUESTION.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        "client": ("192.0.2.7", 1),
        "server": ("localhost", 80),
    }


def _body(asked: dict[str, Any]) -> Any:
    messages = [{"type": "http.request", "body": json.dumps(asked).encode()}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    return receive
