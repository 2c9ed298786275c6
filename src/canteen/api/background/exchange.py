"""A deferred request as the application sees it, and what its answer means."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Message, Scope

from canteen.api.auth import CALLER
from canteen.api.errors import CLIENT_GONE, SHUTTING_DOWN
from canteen.core.access import Caller
from canteen.core.errors import Unauthorized
from canteen.runtime.deferred.book import CANCELLED, MOST_ATTEMPTS, Ended
from canteen.runtime.deferred.request import RECEIPT, Deferred

# What is kept of the headers of an answer.
KEPT = ("content-type", "x-request-id", RECEIPT, "x-truncated-tokens", "x-canteen-ignored")
# Of faults of ours; of others it is said how long to wait.
_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 300.0
_LATER = (429, 503)
_OURS = (500, 502, 503, 504)
# The service's own limit for a request; until its caller's is over, it is tried again.
_TIMED_OUT = 408
LARGEST_ANSWER_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Later:
    """It is to be tried again after a pause; the try counts, if it was its own fault or ours."""

    pause_s: float
    is_counted: bool
    status: int = 0


class Exchange:
    """ASGI's `receive` and `send` of a request, whose caller leaves when told to."""

    def __init__(self, one: Deferred) -> None:
        self._body: bytes | None = one.body.encode()
        self._left = asyncio.Event()
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._parts: list[bytes] = []

    def leave(self) -> None:
        """Nobody waits for the answer any more."""
        self._left.set()

    async def receive(self) -> Message:
        """The request; and once nobody waits, that."""
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a piece of the answer."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = Headers(raw=list(message["headers"]))
        elif message["type"] == "http.response.body":
            self._parts.append(message.get("body", b""))

    def verdict(self, one: Deferred) -> Ended | Later:
        """What came of it."""
        if self._left.is_set() or self._status in (0, CLIENT_GONE):
            return Ended("cancelled", error=CANCELLED)
        if sum(map(len, self._parts)) > LARGEST_ANSWER_BYTES:
            said = f"the answer is larger than {LARGEST_ANSWER_BYTES} bytes; ask for less at once"
            return Ended("failed", error=said)
        text = b"".join(self._parts).decode(errors="replace")
        later = None if self._status < 300 else self._later(one, text)
        if later is not None:
            return later
        kept = {name: self._headers[name] for name in KEPT if name in self._headers}
        if self._status < 300:
            return Ended("done", self._status, kept, text)
        return Ended("failed", self._status, kept, text, _reason(text))

    def _later(self, one: Deferred, text: str) -> Later | None:
        """Whether and when to ask again, as its answer says."""
        if _code(text) in (SHUTTING_DOWN, "draining"):
            return Later(0.0, is_counted=False)
        if self._headers.get("x-should-retry") == "false":
            return None
        wait_s = self._headers.get("retry-after", "")
        if self._status in _LATER and wait_s.isdecimal():
            pause_s = min(float(wait_s), _LONGEST_PAUSE_S)
            return Later(pause_s, is_counted=False, status=self._status)
        return fault(one) if self._status in (*_OURS, _TIMED_OUT) else None


def fault(one: Deferred) -> Later | None:
    """It met a fault of ours: whether and when to ask again."""
    if one.attempts >= MOST_ATTEMPTS:
        return None
    return Later(_PAUSE_S * 2**one.attempts, is_counted=True)


def scope_of(one: Deferred, caller: Caller | Unauthorized | None, left_s: float) -> Scope:
    """A request as it would come from outside, of a caller who is known, or is no more."""
    told = {
        "host": "localhost",
        "content-type": "application/json",
        "x-request-id": one.id,
        "x-canteen-priority": "batch",
        "x-request-timeout": f"{left_s:.3f}",
        **one.headers,
    }
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": one.path,
        "raw_path": one.path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in told.items()],
        # Who is known by no key is known by this.
        "client": (one.caller_id, 0),
        "server": None,
        CALLER: caller,
    }


def _reason(text: str) -> str:
    """The message of an error in any dialect's shape."""
    said = _said(text)
    error = said.get("detail") or said.get("error")
    if isinstance(error, dict):
        error = error.get("message")
    return str(error or "it was refused")


def _code(text: str) -> str:
    said = _said(text)
    error = said.get("error")
    return str((error.get("code") if isinstance(error, dict) else said.get("code")) or "")


def _said(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
