"""SIGTERM under load: nobody who is being answered, or waits for it, notices."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from tests.e2e.chats import DIALECTS, Answer, Chat, ask, until
from tests.serving import Server, set_pace

NUM_STREAMS = 20
MAX_NUM_SEQS = 10
STEPS_PER_S = 20.0
# Long enough for the signal to be seen before the first stream ends, on a busy machine too.
NUM_TOKENS = 80


@pytest.fixture
def http_processes() -> str:
    return "1"


@pytest.fixture
def server(http_processes: str, echo_home: Path, serve: Callable[..., Server]) -> Server:
    set_pace(echo_home, tokens_per_s=STEPS_PER_S)
    return serve(
        echo_home,
        CANTEEN_MAX_NUM_SEQS=str(MAX_NUM_SEQS),
        CANTEEN_HTTP_PROCESSES=http_processes,
    )


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client


@pytest.mark.parametrize("http_processes", ["1", "2"], ids=["one process", "two that speak HTTP"])
async def test_twenty_streams_end_whole_though_half_of_them_still_wait(
    server: Server, client: httpx.AsyncClient
) -> None:
    answers = [Answer() for _ in range(NUM_STREAMS)]
    chats = [Chat(DIALECTS[i % 2], num_tokens=NUM_TOKENS) for i in range(NUM_STREAMS)]
    streams = [
        asyncio.ensure_future(ask(client, chat, answer))
        for chat, answer in zip(chats, answers, strict=True)
    ]
    await until(lambda: sum(answer.num_tokens > 0 for answer in answers) == MAX_NUM_SEQS)
    assert (await client.get("/health/ready")).status_code == 200

    server.process.send_signal(signal.SIGTERM)
    while (await client.get("/health/ready")).status_code == 200:
        pass
    seen = max(answer.num_tokens for answer in answers)
    refused = await ask(client, Chat())
    await asyncio.gather(*streams)

    assert seen < NUM_TOKENS
    assert (refused.status, refused.error_code) == (503, "draining")
    assert all(answer.is_whole for answer in answers)
    assert [answer.num_tokens for answer in answers] == [NUM_TOKENS] * NUM_STREAMS
    assert server.process.wait(30) == 0


async def test_a_second_signal_ends_everything_at_once(
    server: Server, client: httpx.AsyncClient
) -> None:
    answer = Answer()
    stream = asyncio.ensure_future(ask(client, Chat(num_tokens=4000), answer))
    await until(lambda: answer.num_tokens > 0)

    server.process.send_signal(signal.SIGTERM)
    while (await client.get("/health/ready")).status_code == 200:
        pass
    server.process.send_signal(signal.SIGTERM)
    with pytest.raises(httpx.TransportError):
        await stream

    assert server.process.wait(30) == 128 + signal.SIGTERM
