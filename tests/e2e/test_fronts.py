"""Two processes that speak HTTP: one is killed, the one behind them is killed, and all say the
same."""

import asyncio
import json
import os
import signal
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.chats import Answer, Chat, ask, until
from tests.e2e.test_gateway_killed import is_alive
from tests.serving import Server, set_pace

NUM_STREAMS = 16
STEPS_PER_S = 20.0
ENDLESS = Chat(num_tokens=4000)
# So many new connections come to both.
NUM_LOOKS = 12


@pytest.fixture
def server(echo_home: Path, serve: Callable[..., Server]) -> Server:
    set_pace(echo_home, tokens_per_s=STEPS_PER_S)
    return serve(echo_home, CANTEEN_HTTP_PROCESSES="2")


def connecting(server: Server) -> httpx.AsyncClient:
    """A client that has a connection for each request under way."""
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits)


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with connecting(server) as client:
        yield client


def num_sockets(pid: int) -> int:
    """How many a process has open."""
    opened = []
    for one in Path(f"/proc/{pid}/fd").iterdir():
        # It may be closed by now.
        with suppress(FileNotFoundError):
            opened.append(os.readlink(one))
    return sum(path.startswith("socket:") for path in opened)


def num_running(server: Server) -> float:
    return server.metric("vllm:num_requests_running")


def num_gone(server: Server) -> int:
    """Requests whose callers have left, as the log has them."""
    return sum(one["status"] == 499 for one in server.records())


def said(server: Server, path: str) -> Any:
    """What is answered to a new connection."""
    with urllib.request.urlopen(server.url + path, timeout=30) as answer:
        return json.load(answer)


Streams = list["asyncio.Task[Answer]"]


def begin(client: httpx.AsyncClient, answers: list[Answer], chat: Chat = ENDLESS) -> Streams:
    return [asyncio.ensure_future(ask(client, chat, answer)) for answer in answers]


def num_done(streams: Streams) -> int:
    return sum(stream.done() for stream in streams)


async def test_all_say_the_same_and_with_a_killed_front_go_its_own_requests_alone(
    server: Server, client: httpx.AsyncClient
) -> None:
    answers = [Answer() for _ in range(NUM_STREAMS)]
    await asyncio.gather(*begin(client, answers, Chat(num_tokens=2)))

    told = set()
    for _ in range(NUM_LOOKS):
        (sums,) = said(server, "/v1/footprint")["sums"]
        (model,) = said(server, "/api/ps")["models"]
        counted = server.metric("vllm:generation_tokens_total")
        told.add((sums["requests"], sums["tokens"]["completion"], counted, model["name"]))

    num_tokens = 2 * NUM_STREAMS
    assert all(answer.is_whole for answer in answers)
    assert told == {(NUM_STREAMS, num_tokens, num_tokens, "echo:latest")}
    await client.aclose()
    async with connecting(server) as another:
        await check_a_killed_front(server, another)


async def begin_at_both(server: Server, client: httpx.AsyncClient) -> tuple[list[Answer], Streams]:
    """Streams, at least one of them at each front."""
    idle = {pid: num_sockets(pid) for pid in server.front_pids()}
    answers: list[Answer] = []
    streams: Streams = []
    while len(answers) < 4 or any(num_sockets(pid) <= num for pid, num in idle.items()):
        answers.append(Answer())
        streams += begin(client, answers[-1:])
        await until(lambda: answers[-1].num_tokens > 0)
    return answers, streams


async def check_a_killed_front(server: Server, client: httpx.AsyncClient) -> None:
    answers, streams = await begin_at_both(server, client)
    killed, other = server.front_pids()

    os.kill(killed, signal.SIGKILL)
    await until(lambda: num_running(server) < len(streams))
    await until(lambda: len(set(server.front_pids()) - {killed}) == 2)
    # The last of them may end a moment after the first.
    await until(lambda: num_running(server) == len(streams) - num_done(streams))
    cut = [stream for stream in streams if stream.done()]
    before = sum(answer.num_tokens for answer in answers)
    await until(lambda: sum(answer.num_tokens for answer in answers) > before + len(streams))

    assert 0 < len(cut) < len(streams)
    assert all(isinstance(stream.exception(), httpx.TransportError) for stream in cut)
    assert num_running(server) == len(streams) - len(cut)
    await until(lambda: num_gone(server) >= len(cut))
    assert num_gone(server) == len(cut)
    assert other in server.front_pids()
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    await until(lambda: num_running(server) == 0)


async def test_with_the_process_behind_them_all_end_and_say_so(
    server: Server, client: httpx.AsyncClient
) -> None:
    answers = [Answer() for _ in range(NUM_STREAMS)]
    streams = begin(client, answers)
    (unanswered,) = begin(client, [Answer()], Chat(num_tokens=4000, is_streamed=False))
    await until(lambda: all(answer.num_tokens for answer in answers))
    await until(lambda: num_running(server) == NUM_STREAMS + 1)
    ours = [*server.front_pids(), *server.worker_pids()]

    server.process.send_signal(signal.SIGKILL)
    await asyncio.gather(*streams)
    refused = await unanswered
    await until(lambda: not any(is_alive(pid) for pid in ours))

    assert len(ours) == 3
    assert [answer.error_code for answer in answers] == ["draining"] * NUM_STREAMS
    assert (refused.status, refused.error_code) == (503, "draining")
    assert refused.headers["retry-after"] == "1"
