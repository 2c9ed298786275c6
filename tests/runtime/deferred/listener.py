"""Somebody who wants to be told: an HTTP server on loopback that keeps what it gets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Got:
    """A request as it came."""

    headers: dict[str, str]
    body: str


@dataclass
class Listener:
    """Answers each request with the next of `statuses`, and with the last of them for ever."""

    statuses: list[int]
    port: int = 0
    got: list[Got] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): text.strip()
            for name, _, text in (line.partition(":") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        self.got.append(Got(headers, body.decode()))
        told = f"HTTP/1.1 {status} So\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        writer.write(told.encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(*statuses: int) -> AsyncIterator[Listener]:
    """One that answers so; 204 where nothing is said."""
    listener = Listener(list(statuses) or [204])
    server = await asyncio.start_server(listener._serve, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener
