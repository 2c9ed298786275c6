"""The application: all dialects' tables, behind the guard and the access log."""

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from canteen.api.access import Access, Write
from canteen.api.auditing import Audited, beginning
from canteen.api.auth import Auth
from canteen.api.background import Background
from canteen.api.background.preferring import Preferring
from canteen.api.dialects import DIALECTS, SERVED, draw
from canteen.api.draining import Counting, Drain
from canteen.api.guard import Guard
from canteen.api.idempotency import Idempotency
from canteen.api.native.now import Now
from canteen.api.paths import Paths
from canteen.api.pushing import Pusher, pusher
from canteen.api.sending import Sender
from canteen.api.tracing import Tracing, sender
from canteen.metering.audit.book import Book

if TYPE_CHECKING:
    from canteen.bootstrap import Services


@dataclass(frozen=True, slots=True)
class App:
    """The whole stack, as a server runs it; `drain` is its way to end, `closing` what follows.
    What `start` begins in its loop, `stop` ends."""

    paths: Paths
    drain: Drain
    background: Background
    now: Now
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
        self.now.start()
        for part in (self.sender, self.pusher):
            if part is not None:
                part.start()

    async def stop(self) -> None:
        """Leave the rest to whoever comes next, and send what was told and counted."""
        await self.background.close()
        await self.now.close()
        for part in (self.sender, self.pusher):
            if part is not None:
                await part.close()

    def close(self) -> None:
        """Write what is left. Blocks."""
        if self.audit is not None:
            self.audit.close()


def create_app(services: "Services", write: Write | None = None) -> App:
    """Everything Canteen answers over HTTP; `write` gets the access log, line by line."""
    drain = Drain()

    async def all_of_it(scope: Scope, receive: Receive, send: Send) -> None:
        await stack(scope, receive, send)

    # What is left comes back in by the door that all requests take.
    background = Background(all_of_it, services, DIALECTS)
    now = Now(services)
    paths = Paths(services, background, now)
    once = Idempotency(paths, services, draw, DIALECTS)
    left = Preferring(once, services, draw, background)
    known = Auth(left, services, draw, SERVED)
    guarded = Guard(known, services.settings, drain, draw)
    audit = _audit(services)
    audited = Audited(guarded, audit, services, draw) if audit else guarded
    accessed = Access(audited, services, write or to_stdout)
    traces = sender(services.settings.otlp_endpoint)
    stack = Counting(Tracing(accessed, traces.tell) if traces else accessed, drain)
    return App(paths, drain, background, now, pusher(services), traces, stack, audit)


def _audit(services: "Services") -> Book | None:
    """The audit, where one is to be kept; raises AuditUnavailable where that cannot be."""
    settings = services.settings
    if not settings.audit:
        return None
    audit = Book.at(settings.home, settings.audit_file_mb)
    audit.start()
    services.metrics.watch_audit(lambda: bool(audit.trouble))
    audit.append(beginning(services))
    return audit


def to_stdout(line: bytes) -> None:
    """Write a line of the log."""
    # A disk that is full of logs, or a reader that has gone, is no reason to answer nobody.
    with suppress(OSError):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
