"""Who reads slowly, or not at all for a while, keeps nobody else waiting and loses nothing."""

import asyncio
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.compat.sockets import Connection, connected, head
from tests.e2e.chats import Chat, ask
from tests.serving import Server

# The sockets between the two cannot hold an answer of so many words of 8 KiB.
WORD = "w" * 8191
NUM_TOKENS = 1000
NUM_SLOW = 4
NUM_QUICK = 8


def ask_without_reading(connection: Connection) -> None:
    """Ask for a long stream."""
    messages = [{"role": "user", "content": WORD}]
    asked = {"model": "echo", "messages": messages, "stream": True, "max_tokens": NUM_TOKENS}
    body = json.dumps(asked).encode()
    fields = [("Host", "localhost"), ("Content-Length", len(body))]
    connection.send(head("POST", "/v1/chat/completions", fields) + body)


async def test_who_reads_nothing_holds_up_nobody_and_loses_no_token(
    echo_home: Path, serve: Callable[..., Server]
) -> None:
    server = serve(echo_home, CANTEEN_MAX_NUM_SEQS=str(NUM_SLOW))
    with ExitStack() as opened:
        slow = [opened.enter_context(connected(server.port)) for _ in range(NUM_SLOW)]
        for connection in slow:
            ask_without_reading(connection)
        # There is a place for these only when the engine is done with those.
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            quick = Chat(num_tokens=NUM_TOKENS)
            answers = await asyncio.gather(*(ask(client, quick) for _ in range(NUM_QUICK)))

        assert all(answer.is_whole for answer in answers)
        assert [answer.num_tokens for answer in answers] == [NUM_TOKENS] * NUM_QUICK
        assert server.metric("vllm:num_requests_running") == 0
        for connection in slow:
            body = (await asyncio.to_thread(connection.receive)).body
            assert body.count(WORD.encode()) == NUM_TOKENS
            assert body.endswith(b"data: [DONE]\n\n")
