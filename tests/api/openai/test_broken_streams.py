"""A stream that fails says so to every client, whichever sign it looks for."""

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


BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hello"}]},
    "/v1/completions": {"prompt": ["one", "two"]},
    "/v1/responses": {"input": "hello"},
}


async def post(home: Path, kind: type[Services], path: str, **keys: Any) -> httpx.Response:
    built = build(Settings.from_env({"CANTEEN_HOME": str(home)}))
    services = kind(
        **{field.name: getattr(built, field.name) for field in fields(built) if field.init}
    )
    transport = httpx.ASGITransport(create_app(services, lambda line: None))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.post(path, json={"model": "echo", **BODIES[path], **keys})


@pytest.mark.parametrize("path", BODIES)
async def test_a_late_failure_is_the_last_event_by_name_and_by_key(
    echo_home: Path, path: str
) -> None:
    reply = await post(echo_home, Dying, path, stream=True)

    last = reply.text.removesuffix("\n\n").rpartition("\n\n")[2]
    name, data = last.split("\n")
    assert reply.status_code == 200
    assert "Hello" in reply.text
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: ")) == {
        "error": {
            "message": "the model's process ended; ask again",
            "type": "server_error",
            "param": None,
            "code": "worker_died",
        }
    }
    assert "[DONE]" not in reply.text


@pytest.mark.parametrize("path", BODIES)
async def test_the_same_failure_of_a_whole_answer_is_a_500(echo_home: Path, path: str) -> None:
    reply = await post(echo_home, Dying, path)

    assert reply.status_code == 500
    assert reply.json()["error"]["code"] == "worker_died"


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("path", BODIES)
async def test_an_early_refusal_has_its_status_streamed_or_not(
    echo_home: Path, path: str, is_streamed: bool
) -> None:
    reply = await post(echo_home, Full, path, stream=is_streamed)

    assert reply.status_code == 503
    assert reply.headers["retry-after"] == "2"
    assert reply.headers["retry-after-ms"] == "1500"
    assert reply.json()["error"]["type"] == "overloaded_error"
