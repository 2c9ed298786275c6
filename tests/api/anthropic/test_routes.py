"""The dialect over HTTP, as its bytes are."""

import json
from collections.abc import AsyncGenerator
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import pytest

from canteen.api.app import create_app
from canteen.bootstrap import Services, build
from canteen.core.errors import Overloaded, WorkerDied
from canteen.core.generation import Chunk, GenerationRequest
from canteen.settings import Settings
from tests.serving import Server

PATH = "/v1/messages"
HELLO = {
    "model": "echo",
    "max_tokens": 2,
    "messages": [{"role": "user", "content": "Grüße 😀 to you"}],
}
HEADERS = {"x-api-key": "some", "anthropic-version": "2023-06-01", "anthropic-beta": "x-2026"}


class Dying(Services):
    """Services whose model dies after its first word."""

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        yield Chunk("Hello", num_tokens=1)
        raise WorkerDied("the model's process ended; ask again")


class Full(Services):
    """Services with no room."""

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        raise Overloaded("the queue is full; ask again later", retry_after_s=1.5)
        yield Chunk()


def post(server: Server, path: str = PATH, **keys: Any) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", json=HELLO | keys, headers=HEADERS, timeout=30)


async def post_to(kind: type[Services], home: Path, **keys: Any) -> httpx.Response:
    built = build(Settings.from_env({"CANTEEN_HOME": str(home)}))
    services = kind(**{one.name: getattr(built, one.name) for one in fields(built) if one.init})
    transport = httpx.ASGITransport(create_app(services, lambda line: None))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.post(PATH, json=HELLO | keys)


def events(reply: httpx.Response) -> list[tuple[str, Any]]:
    """The events of a stream, each by its name."""
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    lines = [event.split("\n") for event in reply.text.removesuffix("\n\n").split("\n\n")]
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in lines
    ]


def test_a_message_is_answered_for_a_client_of_any_version_and_key(echo_server: Server) -> None:
    reply = post(echo_server, f"{PATH}?beta=true")

    assert reply.status_code == 200
    assert reply.json()["content"] == [{"type": "text", "text": "Grüße 😀"}]
    assert reply.json()["stop_reason"] == "max_tokens"


def test_every_event_is_named_by_its_type_and_the_usage_brings_the_receipt(
    echo_server: Server,
) -> None:
    reply = post(echo_server, stream=True)

    made = events(reply)
    assert all(name == data["type"] for name, data in made)
    assert made[0][0] == "message_start"
    assert made[-1] == ("message_stop", {"type": "message_stop"})
    assert made[-2][1]["footprint"]["id"] == reply.headers["x-canteen-receipt"]


def test_tokens_are_counted_without_an_answer(echo_server: Server) -> None:
    body = {"model": "echo", "messages": HELLO["messages"]}

    reply = httpx.post(f"{echo_server.url}{PATH}/count_tokens", json=body, timeout=30)

    assert reply.json() == {"input_tokens": 4}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", PATH, 405), ("GET", f"{PATH}/batches", 404), ("POST", f"{PATH}/count_tokens", 400)],
)
def test_refusals_have_the_dialects_shape(
    echo_server: Server, method: str, path: str, status: int
) -> None:
    reply = httpx.request(method, f"{echo_server.url}{path}")

    assert reply.status_code == status
    assert reply.json()["type"] == "error"
    assert reply.json()["error"].keys() == {"type", "message"}


async def test_a_late_failure_is_the_last_event(echo_home: Path) -> None:
    made = events(await post_to(Dying, echo_home, stream=True))

    assert made[-1] == (
        "error",
        {
            "type": "error",
            "error": {"type": "api_error", "message": "the model's process ended; ask again"},
            "code": "worker_died",
            "param": None,
        },
    )
    assert not any(name == "message_stop" for name, _ in made)


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_an_early_refusal_has_its_status_streamed_or_not(
    echo_home: Path, is_streamed: bool
) -> None:
    reply = await post_to(Full, echo_home, stream=is_streamed)

    assert reply.status_code == 503
    assert reply.headers["retry-after"] == "2"
    assert reply.json()["error"]["type"] == "overloaded_error"
