"""An OpenAI-compatible service as an engine and an embedder. It needs no weights, so no worker."""

import asyncio
import json
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from canteen.core import trace
from canteen.core.addresses import is_loopback
from canteen.core.engine import Capabilities, EngineStats
from canteen.core.errors import DeadlineExceeded, InvalidRequest, NotSupported, UpstreamFailed
from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    Embeddings,
    GenerationRequest,
    Request,
    ScoreRequest,
    Scores,
    Usage,
)
from canteen.core.upstream import EMBEDDER, GENERATOR, Upstream
from canteen.core.version import VERSION
from canteen.engines import sampling_limits
from canteen.engines.openai_answers import Answer, cut, garbage, receipts
from canteen.engines.openai_errors import AGAIN, MOST_BYTES, refusal
from canteen.engines.openai_requests import Body, written

T = TypeVar("T")

# Of a caller's time so much is kept, to tell him what came of it.
MARGIN = 0.1
LONGEST_MARGIN_S = 1.0
TOP_LOGPROBS, MOST_CHOICES = 20, 128
# A line of a stream, or a whole answer, that is longer is nonsense.
MOST_LINE_BYTES = 4 << 20
MOST_ANSWER_BYTES = 64 << 20
DEADLINE_HEADER = "x-request-timeout"


class Client:
    """One upstream's HTTP: posts, and lets no answer take longer than it may."""

    def __init__(
        self,
        upstream: Upstream,
        key: Callable[[], str],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._upstream = upstream
        self._key = key
        self._http = httpx.AsyncClient(
            base_url=upstream.base_url.rstrip("/") + "/",
            # Compressed, little could become much.
            headers={"user-agent": f"canteen/{VERSION}", "accept-encoding": "identity"},
            # Ours, below, are those that count: they know the deadline, and take no heartbeat for
            # a piece of an answer.
            timeout=None,  # noqa: S113
            limits=httpx.Limits(max_connections=None),
            transport=transport,
            # No proxy can reach what is on this machine.
            trust_env=not is_loopback(urlsplit(upstream.base_url).hostname or ""),
        )

    async def stream(self, path: str, body: Body, request: Request) -> AsyncGenerator[Any]:
        """The events of an answer as they come; closing early hangs up."""
        async with (
            self._posted(path, body, request) as (response, limit),
            aclosing(_lines(response)) as lines,
        ):
            while (data := await limit.within(_next_data(lines))) not in (b"", b"[DONE]"):
                yield _json(data)

    async def whole(self, path: str, body: Body, request: Request) -> Any:
        """An answer that comes whole."""
        async with self._posted(path, body, request) as (response, limit):
            return _json(await limit.within(_body(response, MOST_ANSWER_BYTES)))

    async def read(self, url: str, within_s: float) -> tuple[int, bytes]:
        """The status and the body of what is at a URL; raises UpstreamFailed where it does not
        come in time."""
        try:
            async with (
                asyncio.timeout(within_s),
                self._http.stream("GET", url, headers=self._known()) as response,
            ):
                return response.status_code, await _body(response, MOST_LINE_BYTES)
        except (httpx.RequestError, TimeoutError) as exc:
            raise cut() from exc

    async def close(self) -> None:
        """Hang up."""
        await self._http.aclose()

    def _known(self) -> dict[str, str]:
        """What tells the upstream who asks."""
        key = self._key()
        return {"authorization": f"Bearer {key}"} if key else {}

    @asynccontextmanager
    async def _posted(
        self, path: str, body: Body, request: Request
    ) -> AsyncIterator[tuple[httpx.Response, "_Limit"]]:
        limit = _Limit(request.deadline_s, self._upstream.patience_s)
        headers = {**trace.outgoing(), **self._known()}
        if limit.has_end:
            headers[DEADLINE_HEADER] = f"{limit.left_s():.3f}"
        asked = self._http.build_request(
            "POST", path, content=json.dumps(body).encode(), headers=headers
        )
        try:
            response = await limit.within(self._http.send(asked, stream=True))
            try:
                if response.status_code != httpx.codes.OK:
                    said = await limit.within(_body(response, MOST_BYTES))
                    raise refusal(response.status_code, response.headers, said)
                yield response, limit
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
            raise UpstreamFailed(
                "the upstream cannot be reached; see whether it runs, then try again",
                code="upstream_unreachable",
            ) from exc
        except httpx.RequestError as exc:
            raise cut() from exc


class _Limit:
    """Until when a caller's answer is worth waiting for, and how long for its next piece."""

    def __init__(self, deadline_s: float | None, patience_s: float) -> None:
        self._patience_s = patience_s
        self._end_s = math.inf
        if deadline_s is not None:
            left_s = deadline_s - time.monotonic()
            self._end_s = deadline_s - min(MARGIN * max(left_s, 0.0), LONGEST_MARGIN_S)
            if self.left_s() <= 0:
                raise DeadlineExceeded

    @property
    def has_end(self) -> bool:
        """Whether the caller set a deadline."""
        return math.isfinite(self._end_s)

    def left_s(self) -> float:
        """Seconds to the deadline, less the margin."""
        return self._end_s - time.monotonic()

    async def within(self, awaited: Awaitable[T]) -> T:
        """Wait; raises DeadlineExceeded, or UpstreamFailed where patience ends first."""
        try:
            async with asyncio.timeout(min(self._patience_s, self.left_s())):
                return await awaited
        except TimeoutError:
            if self.left_s() <= 0:
                raise DeadlineExceeded from None
            raise UpstreamFailed(
                f"the upstream said nothing for {self._patience_s:g} s; {AGAIN}",
                code="upstream_silent",
            ) from None


async def _lines(response: httpx.Response) -> AsyncGenerator[bytes]:
    """The lines of a stream; raises UpstreamFailed for one without end."""
    rest = b""
    async with aclosing(response.aiter_bytes()) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.rstrip(b"\r")
            if len(rest) > MOST_LINE_BYTES:
                raise garbage()
    if rest:
        yield rest.rstrip(b"\r")


async def _next_data(lines: AsyncGenerator[bytes]) -> bytes:
    """The next event's data, past heartbeats and what else there is; empty at the end."""
    async for line in lines:
        if line.startswith(b"data:"):
            return line.removeprefix(b"data:").strip()
    return b""


async def _body(response: httpx.Response, most_bytes: int) -> bytes:
    """The beginning of a body, as far as it may be read."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > most_bytes:
            break
    return bytes(body[:most_bytes])


def _json(text: bytes) -> Any:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise garbage() from exc
    if not isinstance(told, dict):
        raise garbage()
    if told.get("error"):
        raise UpstreamFailed(f"the upstream ended its answer with an error; {AGAIN}")
    return told


class OpenAIEngine:
    """A generative model of an upstream."""

    name = GENERATOR

    def __init__(
        self, upstream: Upstream, client: Client, context_length: int, max_num_seqs: int
    ) -> None:
        self._model = upstream.model
        self._client = client
        self.capabilities = Capabilities(
            context_length=context_length,
            max_num_seqs=max_num_seqs,
            grammar=True,
            top_logprobs=TOP_LOGPROBS,
            native_tools=True,
            chat_template=True,
        )

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        """Yield the chunks as the upstream sends them; closing early hangs up."""
        if request.counts_only:
            raise NotSupported("an upstream counts no tokens beforehand; ask it for an answer")
        sampling_limits.check(request.sampling)
        if not 1 <= request.n <= MOST_CHOICES:
            raise InvalidRequest(f"n must be from 1 to {MOST_CHOICES}", param="n")
        path, body = written(request, self._model)
        answer = Answer(request)
        async with aclosing(self._client.stream(path, body, request)) as events:
            async for event in events:
                for chunk in answer.read(event):
                    yield chunk
        yield answer.end()

    async def score(self, request: ScoreRequest) -> Scores:
        """No service of this dialect tells how likely it finds a text of ours."""
        raise NotSupported("an upstream gives no scores; choose a model of this machine")

    async def stats(self) -> EngineStats:
        """It holds nothing here."""
        return EngineStats()

    async def close(self) -> None:
        """Hang up."""
        await self._client.close()


class OpenAIEmbedder:
    """An embedding model of an upstream."""

    name = EMBEDDER

    def __init__(self, upstream: Upstream, client: Client) -> None:
        self._model = upstream.model
        self._client = client

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Unit vectors, whatever length the upstream gives them."""
        inputs = [one if isinstance(one, str) else list(one) for one in request.inputs]
        body: Body = {"model": self._model, "input": inputs, "encoding_format": "float"}
        if request.dimensions:
            body["dimensions"] = request.dimensions
        told = await self._client.whole("embeddings", body, request)
        try:
            rows = sorted(told["data"], key=lambda row: row["index"])
            vectors = tuple(_unit([float(one) for one in row["embedding"]]) for row in rows)
            num_tokens = int((told.get("usage") or {}).get("prompt_tokens") or 0)
            usage = Usage(prompt_tokens=num_tokens, receipts=receipts(told))
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise garbage() from exc
        if len(vectors) != len(inputs) or not all(vectors):
            raise garbage()
        if request.dimensions and len(vectors[0]) != request.dimensions:
            raise InvalidRequest(
                f"the upstream's vectors have {len(vectors[0])} dimensions; leave dimensions out",
                param="dimensions",
            )
        return Embeddings(vectors, usage)

    async def stats(self) -> EngineStats:
        """It holds nothing here."""
        return EngineStats()

    async def close(self) -> None:
        """Hang up."""
        await self._client.close()


def _unit(vector: list[float]) -> tuple[float, ...]:
    length = math.hypot(*vector)
    if not math.isfinite(length):
        raise ValueError("a vector without length")
    return tuple(one / length for one in vector) if length else tuple(vector)
