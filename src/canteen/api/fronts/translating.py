"""What a front answers: what is asked of a model in a dialect it translates, the rest it passes on.

A request that is not translated for whatever reason is passed on as it came, so that refusals, and
their order and traces, are the core's alone.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from canteen.api import body
from canteen.api.dialects import DIALECTS, draw
from canteen.api.draining import Drain
from canteen.api.endpoint import drawn, tell_ignored, while_wanted
from canteen.api.errors import CLIENT_GONE, Unexpected
from canteen.api.fronts.asking import AnsweredByCore, Exchange, Line
from canteen.api.observation import Observation, conversation_of
from canteen.api.routing import Dialect, Route, Served
from canteen.api.terms import terms_of
from canteen.api.translated import Asked
from canteen.core.errors import CanteenError, EngineError
from canteen.core.generation import Chunk, EmbeddingRequest, Embeddings, GenerationRequest
from canteen.core.model import capabilities
from canteen.core.turns import FAULT, guarded
from canteen.engines.coalescing import is_last
from canteen.runtime.catalog import Catalog

if TYPE_CHECKING:
    from canteen.bootstrap import Services

TRANSLATED = frozenset(
    {
        "/chat/completions",
        "/completions",
        "/responses",
        "/embeddings",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/api/chat",
        "/api/generate",
        "/api/embed",
        "/api/embeddings",
    }
)
# Such bodies the core reads itself: what they ask is made once, or later; they are packed, or wait
# to be asked for.
AS_IT_CAME = frozenset({b"idempotency-key", b"prefer", b"content-encoding", b"expect"})
# What the core's answer says of its own body, and not of the one that is rendered from it.
OF_THE_BODY = frozenset(
    {b"content-type", b"content-length", b"cache-control", b"x-accel-buffering"}
)
# A body that takes longer is one whose sender the core has patience with.
PATIENCE_S = 1.0
PASSED_ON = Response()


class _PassOn(CanteenError):
    """The core does this itself."""


class Translating:
    """ASGI: the application of a front, which translates bodies of up to `most_bytes`."""

    def __init__(self, line: Line, catalog: Catalog, most_bytes: int) -> None:
        self._line = line
        self._catalog = catalog
        self._most_bytes = most_bytes
        # The core ends what outlasts it.
        self._drain = Drain()
        self._rows = {
            prefix + route.path: (route, dialect)
            for dialect in DIALECTS
            for prefix in dialect.prefixes
            for route in dialect.routes
            if route.path in TRANSLATED and route.method == "POST"
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        observe = Observation("", "", "", terms_of(Headers(scope=scope)))
        scope["canteen.observe"], scope["canteen.drain"] = observe, self._drain
        async with self._line.exchange(observe.arrived_s) as exchange:
            observe.is_waiting = lambda: not exchange.is_told
            try:
                await self._serve(exchange, scope, receive, send)
            except CanteenError as error:
                await draw(scope, error)(scope, receive, send)

    async def _serve(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        row = self._row(scope)
        raw, more_body = (b"", True) if row is None else await _read(receive, self._most_bytes)
        if row is not None and not more_body and len(raw) <= self._most_bytes:
            request = Request(scope, receive)
            answer = await guarded(self._answer(exchange, row, request, raw), None)
            if answer is None and exchange.is_begun:
                raise EngineError(FAULT, code=Unexpected.code)
            if answer is not None and answer is not PASSED_ON:
                tell_ignored(answer, scope["canteen.observe"])
                await answer(scope, receive, _headed(exchange, send))
                return
        if not exchange.is_begun:
            exchange.begin(scope, body=raw, more_body=more_body)
        await exchange.relay(receive, send)

    def _row(self, scope: Scope) -> tuple[Route, Dialect] | None:
        """The row of a table by which a request is translated, if it is."""
        if not self._most_bytes or scope["method"] != "POST":
            return None
        if any(name in AS_IT_CAME for name, _ in scope["headers"]):
            return None
        return self._rows.get(scope["path"].rstrip("/"))

    async def _answer(
        self, exchange: Exchange, row: tuple[Route, Dialect], request: Request, raw: bytes
    ) -> Response:
        """The core's answer in its dialect; PASSED_ON where the core is to speak for itself."""
        route, dialect = row
        observe: Observation = request.scope["canteen.observe"]
        assert route.request is not None
        try:
            parsed, observe.ignored = await body.parse(raw, route.request)
            if not _is_one(parsed):
                return PASSED_ON
            metadata = getattr(parsed, "metadata", None)
            observe.conversation_id = conversation_of(request.headers, metadata)
            served = _served(exchange, request, self._catalog)
            return await while_wanted(route.handler(parsed, served), request, self._drain)
        except ClientDisconnect:
            return Response(status_code=CLIENT_GONE)
        except AnsweredByCore:
            return PASSED_ON
        except CanteenError as error:
            return drawn(error, dialect, observe) if exchange.is_begun else PASSED_ON


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served(Served):
    """What a handler may use; the receipt comes from the core."""

    exchange: Exchange

    def footprint(self) -> dict[str, Any]:
        return self.exchange.footprint


def _served(exchange: Exchange, request: Request, catalog: Catalog) -> Served:
    observe: Observation = request.scope["canteen.observe"]
    return _Served(
        services=cast("Services", _Remote(exchange, request.scope, catalog)),
        request_id="",
        # The core knows it.
        caller_id="",
        path={},
        headers=request.headers,
        observe=observe,
        request=request,
        exchange=exchange,
    )


class _Remote:
    """The services, as far as a request that is translated needs them; the rest passes it on."""

    def __init__(self, exchange: Exchange, scope: Scope, catalog: Catalog) -> None:
        self.catalog = catalog
        self._exchange = exchange
        self._scope = scope

    def __getattr__(self, name: str) -> Any:
        raise _PassOn(f"the core has {name}")

    async def capabilities(self, model: str) -> tuple[str, ...]:
        return capabilities(self.catalog.get(model))

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        self._begin(request)
        chunk: Chunk | None = None
        while chunk is None or not is_last(chunk):
            chunk = await self._exchange.inbox.expect(Chunk)
            yield chunk

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        self._begin(request)
        return await self._exchange.inbox.expect(Embeddings)

    def _begin(self, asked: Asked) -> None:
        observe: Observation = self._scope["canteen.observe"]
        asked = replace(asked, conversation_id=observe.conversation_id)
        self._exchange.begin(self._scope, asked=asked)


def _is_one(parsed: BaseModel) -> bool:
    """Whether a model is asked once, and now."""
    prompt = getattr(parsed, "prompt", None)
    is_several = isinstance(prompt, list) and len(prompt) > 1 and not isinstance(prompt[0], int)
    return not is_several and not getattr(parsed, "background", False)


async def _read(receive: Receive, most_bytes: int) -> tuple[bytes, bool]:
    """What comes of a body within a moment and this size, and whether there may be more."""
    raw, more_body = b"", True
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while more_body and len(raw) <= most_bytes:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                raw, more_body = raw + message.get("body", b""), message.get("more_body", False)
    return raw, more_body


def _headed(exchange: Exchange, send: Send) -> Send:
    """Adds what the core's answer has in its head, ids and limits, to the rendered one's."""

    async def send_headed(message: Message) -> None:
        if message["type"] == "http.response.start" and exchange.start is not None:
            told = [one for one in exchange.start.headers if one[0] not in OF_THE_BODY]
            message["headers"] = [*message["headers"], *told]
        await send(message)

    return send_headed
