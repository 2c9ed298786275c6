from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from canteen.api.draining import Drain
from canteen.api.errors import headers_of, status_of
from canteen.api.guard import Guard
from canteen.core.errors import CanteenError
from canteen.settings import Settings

OURS = "http://127.0.0.1:11434"


async def echo_path(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(scope["path"] + body.decode())(scope, receive, send)


def draw(scope: Scope, error: CanteenError) -> Response:
    return PlainTextResponse(error.code, status_of(error), headers_of(error))


def client(drain: Drain | None = None, **changes: Any) -> httpx.AsyncClient:
    settings = Settings(home=Path("unused"), **changes)
    guard = Guard(echo_path, settings, drain or Drain(), draw)
    return httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url=OURS)


@pytest.fixture
async def asked() -> AsyncIterator[httpx.AsyncClient]:
    async with client(
        allowed_hosts=("llm.example",), allowed_origins=("https://app.example",)
    ) as it:
        yield it


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:1", "127.0.0.1:11434", "[::1]:11434", "[::1]", "llm.example:8000"],
)
async def test_known_hosts_are_answered(asked: httpx.AsyncClient, host: str) -> None:
    assert (await asked.get("/", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil", "", "[", "10.0.0.7", "a@b:c"],
)
async def test_a_foreign_host_is_forbidden(asked: httpx.AsyncClient, host: str) -> None:
    for path in ("/", "/health", "/v1/models"):
        assert (await asked.get(path, headers={"host": host})).status_code == 403


async def test_open_to_the_network_any_address_of_ours_is_known_but_no_other_name() -> None:
    async with client(allow_remote=True, host="0.0.0.0") as asked:
        assert (await asked.get("/", headers={"host": "10.0.0.7:80"})).status_code == 200
        assert (await asked.get("/", headers={"host": "evil.example"})).status_code == 403


@pytest.mark.parametrize(
    "origin", ["null", "https://evil.example", "http://127.0.0.1:3000", "file://", "http://["]
)
async def test_a_foreign_origin_is_forbidden(asked: httpx.AsyncClient, origin: str) -> None:
    answer = await asked.post("/", headers={"origin": origin})

    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


async def test_our_own_origin_is_answered_and_needs_no_cors(asked: httpx.AsyncClient) -> None:
    answer = await asked.get("/", headers={"origin": OURS})

    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


async def test_a_listed_origin_may_read_the_answer(asked: httpx.AsyncClient) -> None:
    answer = await asked.get("/", headers={"origin": "https://app.example"})

    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["vary"] == "origin"


async def test_a_listed_origin_may_ask_beforehand(asked: httpx.AsyncClient) -> None:
    answer = await asked.options(
        "/v1/chat/completions",
        headers={
            "origin": "https://app.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        },
    )

    assert answer.status_code == 204
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "content-type"


async def test_a_trailing_slash_means_nothing_and_keeps_the_body(asked: httpx.AsyncClient) -> None:
    answer = await asked.post("/api/generate/", content=b"!")

    assert answer.text == "/api/generate!"


async def test_when_the_service_ends_work_is_refused_and_probes_are_not() -> None:
    drain = Drain()
    drain.is_refusing = True

    async with client(drain) as asked:
        refused = await asked.post("/v1/chat/completions")
        probed = await asked.get("/health/live")

    assert (refused.status_code, refused.text) == (503, "draining")
    assert refused.headers["connection"] == "close"
    assert refused.headers["x-should-retry"] == "true"
    assert probed.status_code == 200
