"""The audit of requests: each is on the disk before its caller has the end of the answer."""

import asyncio
import dataclasses
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from canteen.api.access import eaten
from canteen.api.guard import Draw
from canteen.api.observation import Observation
from canteen.core.footprint import Receipt
from canteen.core.moments import now
from canteen.metering.audit.book import AuditUnavailable, Book
from canteen.settings import Settings, shown

if TYPE_CHECKING:
    from canteen.bootstrap import Services

READING = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSED = (401, 403)
# Who a caller says it asks for; of the audit only, never of a label.
END_USER = b"x-end-user"
LONGEST_USER = 128


def beginning(services: "Services") -> Mapping[str, Any]:
    """The record of a start: what runs now, how it is set, and which weights it has."""
    told = services.settings
    set_to = {
        one.metadata["variable"]: shown(one, value)
        for one in dataclasses.fields(Settings)
        if (value := getattr(told, one.name)) != one.default
    }
    models = {card.name: card.digest for card in services.catalog.list()}
    return {
        "event": "start",
        "time": now("milliseconds"),
        "version": services.version,
        "settings": set_to,
        "models": models,
    }


class Audited:
    """ASGI: records what changes something or makes a model work, and who was refused.

    What cannot be recorded is not answered: with 503, or where the answer has begun by cutting it.
    """

    def __init__(self, app: ASGIApp, book: Book, services: "Services", draw: Draw) -> None:
        self._app = app
        self._book = book
        self._till = services.till
        self._draw = draw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, on the record."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._record)
        try:
            if scope["method"] not in READING:
                await self._check()
            await self._app(scope, exchange.receive, exchange.send)
        except AuditUnavailable as error:
            if exchange.has_begun:
                raise
            await self._draw(scope, error)(scope, receive, send)
        finally:
            if not exchange.is_recorded:
                # Nobody is there to be kept waiting.
                self._append(scope, exchange)

    async def _check(self) -> None:
        """No model works for what could not be recorded; raises AuditUnavailable."""
        if self._book.trouble:
            await asyncio.wrap_future(self._book.append({"event": "resumed"}))

    async def _record(self, exchange: "_Exchange") -> None:
        if exchange.status in REFUSED or exchange.scope["method"] not in READING:
            written = self._append(exchange.scope, exchange)
            exchange.scope["canteen.observe"].audit = await asyncio.wrap_future(written)

    def _append(self, scope: Scope, exchange: "_Exchange") -> "Future[str]":
        observe: Observation = scope["canteen.observe"]
        receipt = self._till.settle(observe.receipt_id, observe.usage.queue_s)
        return self._book.append(_entry(exchange, observe, receipt))


class _Exchange:
    """A request and its answer as they pass by, hashed."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        record: Callable[["_Exchange"], Awaitable[None]],
    ) -> None:
        self.scope = scope
        self.status = 0
        self.is_recorded = scope["method"] in READING
        self.has_begun = False
        self.asked = hashlib.sha256()
        self.answered = hashlib.sha256()
        self.answered_bytes = 0
        self._receive = receive
        self._send = send
        self._record = record
        self._start: Message | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.asked.update(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Pass on; the end only when it is recorded, and the beginning with what follows it."""
        if message["type"] == "http.response.start":
            self._start, self.status = message, message["status"]
            return
        if message["type"] == "http.response.body":
            body = message.get("body", b"")
            self.answered.update(body)
            self.answered_bytes += len(body)
            if not message.get("more_body", False):
                self.is_recorded = True
                await self._record(self)
        if self._start is not None:
            start, self._start, self.has_begun = self._start, None, True
            await self._send(start)
        await self._send(message)


def _entry(exchange: _Exchange, observe: Observation, receipt: Receipt | None) -> Mapping[str, Any]:
    """Who, what, when and how it went; of the texts their hashes only."""
    scope, usage = exchange.scope, observe.usage
    return {
        "event": "request",
        "request_id": observe.request_id,
        "trace_id": observe.trace_id,
        "who": observe.caller_id,
        "on_behalf_of": _end_user(scope),
        "address": scope["client"][0] if scope.get("client") else "",
        "method": scope["method"],
        "route": scope["path"],
        "operation": observe.operation,
        "model": observe.model,
        "digest": receipt.digest if receipt else "",
        "prompt_version": receipt.prompt_version if receipt else "",
        "conversation_id": observe.conversation_id,
        "status": exchange.status,
        "decision": observe.error_code or ("unfinished" if _is_cut(exchange) else "done"),
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens or observe.num_tokens,
        **eaten(receipt),
        "input_sha256": exchange.asked.hexdigest(),
        "output_sha256": exchange.answered.hexdigest(),
        "output_bytes": exchange.answered_bytes,
    }


def _is_cut(exchange: _Exchange) -> bool:
    return not exchange.is_recorded


def _end_user(scope: Scope) -> str:
    told = next((value for name, value in scope["headers"] if name == END_USER), b"")
    return str(told[:LONGEST_USER].decode("latin-1"))
