"""One streamed chat, read by hand: a client library would cost the cores that it measures."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from time import perf_counter
from urllib.parse import SplitResult, urlsplit

from msgspec import MsgspecError

from canteen.bench.figures import Outcome
from canteen.bench.load import Load
from canteen.bench.stream import Answer
from canteen.core.errors import CanteenError, EngineError, InvalidRequest

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
# What a connection that breaks, or a server that is no HTTP server, raises here.
BROKEN = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, MsgspecError)


class Client:
    """Asks a service, over connections that are kept and used again.

    `url` may end in /v1 or not; `headers` go with every request, and the load's deadline does in
    the words of the usual clients. Raises InvalidRequest for what is no HTTP address.
    """

    def __init__(
        self, url: str, model: str, load: Load, headers: Mapping[str, str] | None = None
    ) -> None:
        self._url = _parsed(url)
        self._model = model
        self._load = load
        self._idle: list[Connection] = []
        self._head = self._head_of(headers or {})

    async def check(self) -> None:
        """Ask once, to warm up; raises a CanteenError that says why no run can begin."""
        outcome = await self.ask(0, perf_counter())
        if outcome.error == "connection":
            raise EngineError(f"no server answers at {self._url.geturl()}: {outcome.message}")
        if not outcome.is_whole:
            raise CanteenError(f"{outcome.error}: {outcome.message or 'no reason was given'}")

    async def ask(self, number: int, due_s: float) -> Outcome:
        """Ask request `number` of the load, which arrived at `due_s`."""
        sent_s = perf_counter()
        answer = Answer()
        try:
            async with asyncio.timeout(self._load.deadline_s):
                await self._exchange(number, answer)
        except TimeoutError:
            answer.error, answer.message = "timeout", "the answer was not whole at the deadline"
        except BROKEN as exc:
            answer.error = "broken stream" if answer.status else "connection"
            answer.message = getattr(exc, "strerror", None) or str(exc)
        return answer.outcome(due_s, sent_s, perf_counter())

    def close(self) -> None:
        """Close the kept connections."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()

    async def _exchange(self, number: int, answer: Answer) -> None:
        body = json.dumps(self._load.body(self._model, number)).encode()
        request = self._head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
        while self._idle:
            try:
                return await self._over(self._idle.pop(), request, answer)
            except (ConnectionError, asyncio.IncompleteReadError):
                # A kept connection may be closed by now; a broken answer is another thing.
                if answer.status:
                    raise
        await self._over(await self._connected(), request, answer)

    async def _over(self, connection: Connection, request: bytes, answer: Answer) -> None:
        reader, writer = connection
        is_kept = False
        try:
            writer.write(request)
            headers = await _read_head(reader, answer)
            await _read_body(reader, headers, answer)
            is_kept = _is_kept(headers)
        finally:
            if is_kept:
                self._idle.append(connection)
            else:
                writer.transport.abort()

    async def _connected(self) -> Connection:
        is_secure = self._url.scheme == "https"
        context = ssl.create_default_context() if is_secure else None
        port = self._url.port or (443 if is_secure else 80)
        return await asyncio.open_connection(self._url.hostname, port, ssl=context)

    def _head_of(self, headers: Mapping[str, str]) -> bytes:
        path = self._url.path.rstrip("/").removesuffix("/v1")
        sent = {
            "Host": self._url.netloc.rpartition("@")[2],
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            **headers,
        }
        if self._load.deadline_s is not None:
            sent["X-Stainless-Timeout"] = f"{self._load.deadline_s:g}"
        lines = (f"{name}: {value}\r\n" for name, value in sent.items())
        return f"POST {path}/v1/chat/completions HTTP/1.1\r\n{''.join(lines)}".encode()


def _parsed(url: str) -> SplitResult:
    parsed = urlsplit(url if "://" in url else f"http://{url}")
    with suppress(ValueError):  # a port that is no number
        if parsed.scheme in ("http", "https") and parsed.hostname and parsed.port != 0:
            return parsed
    raise InvalidRequest(f"{url!r} is no address; one is like http://127.0.0.1:11434")


async def _read_head(reader: asyncio.StreamReader, answer: Answer) -> dict[str, str]:
    """The status into `answer`, and the headers by their names in lower case."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    answer.status = int(lines[0].partition(" ")[2][:3])
    pairs = (line.partition(":") for line in lines[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    if "retry-after-ms" in headers:
        answer.retry_after_s = float(headers["retry-after-ms"]) / 1000
    elif headers.get("retry-after", "").isdecimal():
        answer.retry_after_s = float(headers["retry-after"])
    return headers


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str], answer: Answer) -> None:
    rest = b""
    async for data in _pieces(reader, headers):
        rest += data
        if answer.status == 200:
            now_s = perf_counter()
            *lines, rest = rest.split(b"\n")
            for line in lines:
                answer.take(line, now_s)
    if answer.status != 200:
        answer.fail_with(rest)
    elif not answer.is_done and not answer.error:
        answer.error = "broken stream"


async def _pieces(reader: asyncio.StreamReader, headers: dict[str, str]) -> AsyncIterator[bytes]:
    """The body, out of whichever framing it has."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readline()).partition(b";")[0], 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    elif "content-length" in headers:
        yield await reader.readexactly(int(headers["content-length"]))
    else:
        while data := await reader.read(1 << 16):
            yield data


def _is_kept(headers: dict[str, str]) -> bool:
    """Whether the connection stays open, and its body had an end of its own."""
    is_framed = "content-length" in headers or "transfer-encoding" in headers
    return is_framed and headers.get("connection", "").lower() != "close"
