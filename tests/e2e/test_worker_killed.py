"""The worker is killed under load: its own requests fail with a word, and the service goes on."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from canteen.runtime.catalog import Catalog
from tests.e2e.chats import DIALECTS, Answer, Chat, ask, until
from tests.serving import Server, set_pace

NUM_STREAMS = 16
# At 50 a second, more than anybody takes to kill the other model's worker and to hear of it.
NUM_SPARED_TOKENS = 300
QUESTION = [{"role": "user", "content": "Tell me a long story about the sea."}]


async def openai_stream(client: httpx.AsyncClient, began: asyncio.Queue[None]) -> list[str]:
    """The lines of a chat stream; says when the first has come."""
    body = {"model": "smollm2:135m", "messages": QUESTION, "stream": True, "ignore_eos": True}
    lines: list[str] = []
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        async for line in answer.aiter_lines():
            if not lines:
                began.put_nowait(None)
            lines.append(line)
    return [line for line in lines if line]


async def ollama_stream(client: httpx.AsyncClient, began: asyncio.Queue[None]) -> list[str]:
    """The same in the other dialect, which has no way to rule out an end: any token is as likely
    as another."""
    options = {"num_predict": 2000, "temperature": 100.0, "top_k": 0, "top_p": 1.0}
    body = {"model": "smollm2:135m", "messages": QUESTION, "options": options}
    lines: list[str] = []
    async with client.stream("POST", "/api/chat", json=body) as answer:
        async for line in answer.aiter_lines():
            if not lines:
                began.put_nowait(None)
            lines.append(line)
    return lines


@pytest.fixture
def server(serve: Callable[..., Server], model_home_copy: Path) -> Server:
    return serve(model_home_copy, CANTEEN_MAX_NUM_SEQS="8")


async def test_a_killed_worker_fails_its_requests_only_and_comes_back(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        began: asyncio.Queue[None] = asyncio.Queue()
        kinds = [openai_stream, ollama_stream] * (NUM_STREAMS // 2)
        streams = [asyncio.create_task(kind(client, began)) for kind in kinds]
        # Eight hold a place and are told; the eight in the queue do not notice.
        for _ in range(8):
            await began.get()

        os.kill(server.worker_pids()[0], signal.SIGKILL)
        for _ in range(8):
            await began.get()
        os.kill(server.worker_pids()[0], signal.SIGKILL)
        endings = await asyncio.gather(*streams)

        for kind, lines in zip(kinds, endings, strict=True):
            if kind is openai_stream:
                assert lines[-2] == "event: error"
                error = json.loads(lines[-1].removeprefix("data: "))["error"]
                assert error["code"] == "worker_died"
                assert "data: [DONE]" not in lines
            else:
                told = json.loads(lines[-1])
                # The model may have come to an end before the kill.
                has_ended = told.get("done_reason") == "stop"
                assert has_ended or "send the request again" in told["error"]
        cut = [
            lines for lines in endings if "error" in json.loads(lines[-1].removeprefix("data: "))
        ]
        assert len(cut) > NUM_STREAMS / 2
        body = {"model": "smollm2:135m", "messages": QUESTION, "max_tokens": 3}
        assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
        ps = (await client.get("/api/ps")).json()
        assert [model["name"] for model in ps["models"]] == ["smollm2:135m"]


async def test_the_other_models_do_not_notice(
    echo_home: Path, serve: Callable[..., Server]
) -> None:
    catalog = Catalog(set_pace(echo_home, tokens_per_s=50.0))
    catalog.put(replace(catalog.get("echo"), name="other:latest", folder="prepared/other"))
    server = serve(echo_home)
    (doomed,) = server.worker_pids()
    spared = [Answer() for _ in range(4)]
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        others = [
            asyncio.ensure_future(
                ask(client, Chat(model="other", num_tokens=NUM_SPARED_TOKENS), answer)
            )
            for answer in spared
        ]
        killed = [
            asyncio.ensure_future(ask(client, Chat(dialect, 1, 4000, is_streamed=False)))
            for dialect in DIALECTS
        ]
        await until(lambda: server.metric("vllm:num_requests_running") == 6)
        await until(lambda: all(answer.num_tokens for answer in spared))

        os.kill(doomed, signal.SIGKILL)
        failed = await asyncio.gather(*killed)
        num_told = max(answer.num_tokens for answer in spared)
        await asyncio.gather(*others)

    assert num_told < NUM_SPARED_TOKENS
    assert all(answer.is_whole and answer.num_tokens == NUM_SPARED_TOKENS for answer in spared)
    assert [answer.status for answer in failed] == [500, 500]
    assert all("send the request again" in answer.lines[-1] for answer in failed)
    assert doomed not in server.worker_pids()
