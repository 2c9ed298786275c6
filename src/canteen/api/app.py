"""The application: all dialects' tables in one FastAPI, behind the guard and the access log."""

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from canteen.api.access import Access, Write
from canteen.api.anthropic import DIALECT as ANTHROPIC
from canteen.api.auditing import Audited, beginning
from canteen.api.auth import Auth
from canteen.api.background import Background
from canteen.api.background.preferring import Preferring
from canteen.api.console import DIALECT as CONSOLE
from canteen.api.documenting import describe
from canteen.api.draining import Counting, Drain
from canteen.api.endpoint import drawn, endpoint
from canteen.api.errors import HttpError
from canteen.api.guard import Guard
from canteen.api.idempotency import Idempotency
from canteen.api.native import DIALECT as NATIVE
from canteen.api.ollama import DIALECT as OLLAMA
from canteen.api.openai import DIALECT as OPENAI
from canteen.api.pushing import Pusher, pusher
from canteen.api.routing import Dialect
from canteen.api.sending import Sender
from canteen.api.tracing import Tracing, sender
from canteen.core.errors import CanteenError
from canteen.metering.audit.book import FILE, FOLDER, Book

if TYPE_CHECKING:
    from canteen.bootstrap import Services

# Routes are looked through in this order, so those that are asked most come first.
DIALECTS = (OPENAI, OLLAMA, ANTHROPIC, NATIVE)
# The console is for people: it is served, and is no part of the interface that is described.
SERVED = (*DIALECTS, CONSOLE)


@dataclass(frozen=True, slots=True)
class App:
    """The whole stack, as a server runs it; `drain` is its way to end, `closing` what follows.
    What `start` begins in its loop, `stop` ends."""

    fastapi: FastAPI
    drain: Drain
    background: Background
    pusher: Pusher | None
    sender: Sender | None
    stack: ASGIApp
    audit: Book | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await self.stack(scope, receive, send)

    def start(self) -> None:
        """Begin to answer what was left, to send traces and to push metrics."""
        self.background.start()
        for part in (self.sender, self.pusher):
            if part is not None:
                part.start()

    async def stop(self) -> None:
        """Leave the rest to whoever comes next, and send what was told and counted."""
        await self.background.close()
        for part in (self.sender, self.pusher):
            if part is not None:
                await part.close()

    def close(self) -> None:
        """Write what is left. Blocks."""
        if self.audit is not None:
            self.audit.close()


def create_app(services: "Services", write: Write | None = None) -> App:
    """Everything Canteen answers over HTTP; `write` gets the access log, line by line."""
    fastapi = FastAPI(
        title="Canteen",
        version=services.version,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    for dialect in SERVED:
        _mount(fastapi, dialect, services)
    fastapi.openapi = lambda: describe(fastapi, DIALECTS)  # type: ignore[method-assign]
    fastapi.add_exception_handler(HTTPException, _no_such_route)
    drain = Drain()

    async def all_of_it(scope: Scope, receive: Receive, send: Send) -> None:
        await stack(scope, receive, send)

    # What is left comes back in by the door that all requests take.
    background = Background(all_of_it, services, DIALECTS)
    fastapi.state.background = background
    once = Idempotency(fastapi, services, _draw, DIALECTS)
    left = Preferring(once, services, _draw, background)
    known = Auth(left, services, _draw, SERVED)
    guarded = Guard(known, services.settings, drain, _draw)
    audit = _audit(services)
    audited = Audited(guarded, audit, services, _draw) if audit else guarded
    accessed = Access(audited, services, write or to_stdout)
    traces = sender(services.settings.otlp_endpoint)
    stack = Counting(Tracing(accessed, traces.tell) if traces else accessed, drain)
    return App(fastapi, drain, background, pusher(services), traces, stack, audit)


def _audit(services: "Services") -> Book | None:
    """The audit, where one is to be kept; raises AuditUnavailable where that cannot be."""
    if not services.settings.audit:
        return None
    audit = Book(services.settings.home / FOLDER / FILE)
    audit.start()
    services.metrics.watch_audit(lambda: bool(audit.trouble))
    audit.append(beginning(services))
    return audit


def _mount(fastapi: FastAPI, dialect: Dialect, services: "Services") -> None:
    """Put a dialect's rows where they are called; GET brings HEAD. FastAPI's own way of calling an
    endpoint, which has nothing to add to ours, would be a tenth of a request's time."""
    for prefix in dialect.prefixes:
        for row in dialect.routes:
            path = prefix + row.path
            answer = endpoint(row, path, dialect, services)
            fastapi.router.routes.append(Route(path, answer, methods=[row.method]))


def _dialect_of(path: str) -> Dialect:
    """By route, never by Accept."""
    if path == "/" or path.startswith("/api/"):
        return OLLAMA
    usual = OPENAI if _first_part(path) in _OPENAI_ROOTS else NATIVE
    return _BESIDE_OPENAI.get(_two_parts(path), usual)


def _first_part(path: str) -> str:
    return path.lstrip("/").partition("/")[0]


def _two_parts(path: str) -> tuple[str, ...]:
    return tuple(path.lstrip("/").split("/")[:2])


_BESIDE_OPENAI = {
    _two_parts(route.path): dialect
    for dialect in (NATIVE, ANTHROPIC)
    for route in dialect.routes
    if route.path.startswith("/v1/")
}
_OPENAI_ROOTS = {"v1", *(_first_part(route.path) for route in OPENAI.routes)}


def _draw(scope: Scope, error: CanteenError) -> Response:
    return drawn(error, _dialect_of(scope["path"]), scope["canteen.observe"])


async def _no_such_route(request: Request, exc: Exception) -> Response:
    """The framework's own refusals, in the shape of the route's dialect."""
    assert isinstance(exc, HTTPException)
    return _draw(request.scope, _refusal(exc.status_code, request))


def _refusal(status: int, request: Request) -> HttpError:
    path = request.url.path
    if status == 405:
        allowed = ", ".join(sorted(_methods(request)))
        message = f"{path} takes {allowed}, not {request.method}"
        return HttpError(405, message, code="method_not_allowed", headers={"allow": allowed})
    message = f"there is no {path} here; /openapi.json lists what there is"
    if path.startswith("/v1/v1/"):
        message = f"{path} has /v1 twice; leave it out of the client's base URL"
    return HttpError(status, message, code="not_found")


def _methods(request: Request) -> set[str]:
    """What may be asked of a path, over all rows that have it."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    fitting = [route for route in routes if route.matches(request.scope)[0] != Match.NONE]
    return {method for route in fitting for method in route.methods or ()}


def to_stdout(line: bytes) -> None:
    """Write a line of the log."""
    # A disk that is full of logs, or a reader that has gone, is no reason to answer nobody.
    with suppress(OSError):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
