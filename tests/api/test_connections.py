"""Connections that cost and ask for nothing, over sockets, with little patience."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from canteen.api.connections import Connection
from canteen.api.guard import SURPLUS

PIECE = b"0" * 100_000
Asked = list[Scope]


class Impatient(Connection):
    head_within_s = 0.1
    reader_patience_s = 0.1


class Crowded(Connection):
    most = 2


class Endless:
    """An application that talks until nobody is connected any more."""

    def __init__(self) -> None:
        self.asked: Asked = []
        self.has_ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope)
        if scope["path"] == "/short":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        talking = asyncio.ensure_future(self._talk(send))
        while (await receive())["type"] != "http.disconnect":
            pass
        talking.cancel()
        self.has_ended.set()

    async def _talk(self, send: Send) -> None:
        while True:
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})


@asynccontextmanager
async def serving(app: Endless, protocol: type[Connection] = Impatient) -> AsyncIterator[int]:
    config = uvicorn.Config(app, http=protocol, lifespan="off", ws="none", log_config=None)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config, state, {}), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


async def said(reader: asyncio.StreamReader) -> tuple[int, Any]:
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.read()
    return int(head.split()[1]), json.loads(body) if body else None


@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a"])
async def test_a_head_that_stalls_is_408(begun: bytes) -> None:
    async with serving(Endless()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)

        status, problem = await said(reader)
        writer.close()

    assert (status, problem["code"]) == (408, "head_stalled")


async def test_who_says_nothing_is_left() -> None:
    async with serving(Endless()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        assert await reader.read() == b""
        writer.close()


async def test_who_asked_before_may_be_silent_for_longer() -> None:
    async with serving(Endless()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(b"GET /short HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"0\r\n\r\n")
            await asyncio.sleep(0.2)
        writer.close()


@pytest.mark.parametrize("rubbish", [b"\x00\x01\r\n\r\n", b"GET / HTTP/1.1\r\nA: " + b"a" * 99_999])
async def test_what_is_no_http_is_400_in_our_own_shape(rubbish: bytes) -> None:
    app = Endless()
    async with serving(app, Connection) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(rubbish)

        status, problem = await said(reader)
        writer.close()

    assert (status, problem["code"]) == (400, "invalid_http")
    assert app.asked == []


async def test_who_never_reads_is_cut_off() -> None:
    app = Endless()
    async with serving(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

        async with asyncio.timeout(10):
            await app.has_ended.wait()
        writer.close()


async def test_requests_of_surplus_connections_are_marked() -> None:
    app = Endless()
    async with serving(app, Crowded) as port:
        pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for reader, writer in pairs:
            writer.write(b"GET /short HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"0\r\n\r\n")
        for _, writer in pairs:
            writer.close()

    assert [scope.get(SURPLUS, False) for scope in app.asked] == [False, False, True]
