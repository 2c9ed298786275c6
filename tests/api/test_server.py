import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from canteen.api.server import bind, check_is_allowed, url_of
from canteen.core.errors import InvalidRequest
from canteen.settings import Settings
from tests.e2e.chats import until
from tests.serving import Server, set_pace

Serve = Callable[..., Server]
Begun = asyncio.Queue[None]
TOKENS_PER_S = 40.0


@pytest.fixture
def slow_home(echo_home: Path) -> Path:
    """The echo model at the pace of a real one."""
    return set_pace(echo_home, tokens_per_s=TOKENS_PER_S)


def chat(num_tokens: int, stream: bool = True) -> dict[str, Any]:
    messages = [{"role": "user", "content": " ".join(["word"] * num_tokens)}]
    return {"model": "echo", "messages": messages, "stream": stream}


def within(seconds: float) -> Iterator[None]:
    deadline_s = time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        yield
        time.sleep(0.02)


async def streamed(client: httpx.AsyncClient, num_tokens: int, begun: Begun) -> str:
    """The whole text of a stream; `begun` hears of its first event."""
    text = ""
    async with client.stream("POST", "/v1/chat/completions", json=chat(num_tokens)) as answer:
        async for line in answer.aiter_lines():
            if line and not text:
                begun.put_nowait(None)
            text += line + "\n"
    return text


async def until_all_have_begun(begun: Begun, number: int) -> None:
    for _ in range(number):
        await begun.get()


def test_a_socket_is_bound_before_anything_is_loaded() -> None:
    with bind("127.0.0.1", 0) as listener:
        url = url_of(listener)

    assert url.startswith("http://127.0.0.1:")
    assert not url.endswith(":0")


def test_a_busy_port_says_what_answers_there(echo_server: Server) -> None:
    with pytest.raises(InvalidRequest, match=r"Canteen \d.* answers there"):
        bind("127.0.0.1", echo_server.port)


def test_a_busy_port_may_not_speak_http() -> None:
    with bind("127.0.0.1", 0) as mute:
        mute.listen()

        with pytest.raises(InvalidRequest, match="does not speak HTTP"):
            bind("127.0.0.1", mute.getsockname()[1])


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no address of this machine"):
        bind("192.0.2.1", 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.53"])
def test_loopback_needs_no_permission(host: str) -> None:
    check_is_allowed(Settings(host=host), asks_for_keys=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org"])
def test_beyond_loopback_needs_keys_or_permission(host: str) -> None:
    with pytest.raises(InvalidRequest, match=r"canteen keys create NAME.*--allow-remote"):
        check_is_allowed(Settings(host=host), asks_for_keys=False)

    check_is_allowed(Settings(host=host), asks_for_keys=True)
    check_is_allowed(Settings(host=host, allow_remote=True), asks_for_keys=False)


async def test_a_draining_server_is_not_ready_and_sends_new_work_elsewhere(
    slow_home: Path, serve: Serve
) -> None:
    server = serve(slow_home, CANTEEN_MODEL="echo")
    begun: Begun = asyncio.Queue()

    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        running = asyncio.ensure_future(streamed(client, 80, begun))
        # As long as it goes on, the server is there to be asked.
        lasting = asyncio.ensure_future(streamed(client, 4000, begun))
        await until_all_have_begun(begun, 2)
        server.process.send_signal(signal.SIGTERM)
        for _ in within(20):
            ready = await client.get("/health/ready")
            if ready.status_code == 503:
                break
        live = await client.get("/health/live")
        refused = await client.post("/v1/chat/completions", json=chat(1))
        text = await running
        lasting.cancel()
        with suppress(asyncio.CancelledError):
            await lasting

    assert ready.status_code == 503
    assert live.status_code == 200
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "draining"
    assert refused.headers["x-should-retry"] == "true"
    assert refused.headers["connection"] == "close"
    assert text.rstrip().endswith("data: [DONE]")
    assert server.process.wait(20) == 0


async def test_what_outlives_the_drain_ends_with_an_error_of_its_dialect(
    slow_home: Path, serve: Serve
) -> None:
    server = serve(slow_home, CANTEEN_MODEL="echo", CANTEEN_DRAIN_TIMEOUT_S="0.3")
    begun: Begun = asyncio.Queue()

    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        running = asyncio.ensure_future(streamed(client, 4000, begun))
        body = chat(4000, stream=False)
        whole = asyncio.ensure_future(client.post("/v1/chat/completions", json=body))
        await until_all_have_begun(begun, 1)
        # The other one was sent, and may be still on its way.
        await until(lambda: server.metric("vllm:num_requests_running") == 2)
        server.process.send_signal(signal.SIGTERM)
        text, answer = await running, await whole

    last_event = text.rstrip().split("\n\n")[-1]
    assert last_event.startswith("event: error\n")
    assert "server_shutting_down" in last_event
    assert "[DONE]" not in text
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "server_shutting_down")
    assert server.process.wait(20) == 0
