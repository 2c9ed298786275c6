"""A stand-in for somebody else's service, on loopback: it does what its script says."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
STREAM = {"content-type": "text/event-stream", "connection": "close"}


@dataclass
class Asked:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class StandIn:
    """Answers each request by the next of `script`, and by `usual` where that is at its end."""

    usual: Answer
    port: int = 0
    script: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    is_hung_up_on: asyncio.Event = field(default_factory=asyncio.Event)
    # What it answers who looks how it is, and how many have looked.
    health: int = 200
    num_looks: int = 0

    @property
    def base_url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {
                name.lower(): text.strip()
                for name, _, text in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, path, _ = head[0].split()
            answer = self._looked() if method == "GET" else self._asked(path, headers, body)
            answering = asyncio.ensure_future(answer(writer))
            leaving = asyncio.ensure_future(reader.read())
            await asyncio.wait([answering, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                self.is_hung_up_on.set()
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
        writer.close()

    def _looked(self) -> Answer:
        self.num_looks += 1
        return refuses(self.health)

    def _asked(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.asked.append(Asked(path, headers, json.loads(body)))
        return self.script.pop(0) if self.script else self.usual


@asynccontextmanager
async def stand_in(usual: Answer | None = None) -> AsyncIterator[StandIn]:
    """One that listens while the block lasts."""
    made = StandIn(usual or says("one", " two"))
    server = await asyncio.start_server(made._serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


def says(*words: str, usage: Mapping[str, Any] | None = None) -> Answer:
    """A whole chat, one word an event."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        await _head(writer, 200, STREAM)
        for word in words:
            await _event(writer, _delta({"content": word}))
        await _event(writer, _delta({}, "stop"))
        counted = {"prompt_tokens": 7, "completion_tokens": len(words)}
        await _event(writer, {"choices": [], "usage": counted | dict(usage or {})})
        await _sent(writer, b"data: [DONE]\n\n")

    return answer


def breaks_off(*words: str) -> Answer:
    """Some words of a chat, then nothing more."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        await _head(writer, 200, STREAM)
        for word in words:
            await _event(writer, _delta({"content": word}))

    return answer


def stalls(*words: str) -> Answer:
    """Some words of a chat, then silence, with a heartbeat that is no answer."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        if words:
            await _head(writer, 200, STREAM)
        for word in words:
            await _event(writer, _delta({"content": word}))
        while True:
            await asyncio.sleep(0.02)
            if words:
                await _sent(writer, b": still there\n\n")

    return answer


def streams(*lines: bytes) -> Answer:
    """These bytes as the body of a stream."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        await _head(writer, 200, STREAM)
        for line in lines:
            await _sent(writer, line)

    return answer


def refuses(status: int, error: Mapping[str, Any] | None = None, **headers: str) -> Answer:
    """A status with an error, and headers whose `-` is written `_`."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        told = {name.replace("_", "-"): text for name, text in headers.items()}
        await _head(writer, status, {"connection": "close", **told})
        await _sent(writer, json.dumps({"error": dict(error or {})}).encode())

    return answer


def tells(body: Mapping[str, Any]) -> Answer:
    """A whole JSON body."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        await _head(writer, 200, {"connection": "close"})
        await _sent(writer, json.dumps(body).encode())

    return answer


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    """No answer at all."""


def event(delta: Mapping[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
    """An event of a chat, as bytes."""
    return b"data: " + json.dumps(_delta(delta, finish_reason, **more)).encode() + b"\n\n"


def _delta(
    delta: Mapping[str, Any], finish_reason: str | None = None, **more: Any
) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason, **more}]}


async def _head(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {text}" for name, text in headers.items())]
    await _sent(writer, "\r\n".join([*lines, "", ""]).encode())


async def _event(writer: asyncio.StreamWriter, told: Mapping[str, Any]) -> None:
    await _sent(writer, b"data: " + json.dumps(told).encode() + b"\n\n")


async def _sent(writer: asyncio.StreamWriter, text: bytes) -> None:
    writer.write(text)
    await writer.drain()
