"""The outermost layer: ids in and out, one line of log and one count at the end of a request."""

import hashlib
import json
import logging
import re
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from canteen.api.observation import Observation
from canteen.bootstrap import Services
from canteen.core.errors import CanteenError
from canteen.metering.metrics import Seen

SANE_ID = re.compile(r"[\x21-\x7e]{1,128}")
TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
CLIENT_GONE = 499

logger = logging.getLogger(__name__)


class Access:
    """Pure ASGI: gives each request its Observation, and writes it down when all is sent."""

    def __init__(self, app: ASGIApp, services: Services, write: Callable[[str], object]) -> None:
        self._app = app
        self._services = services
        self._write = write
        self.streams: set[object] = set()
        self.num_active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        seen = Observation(_request_id(headers), _caller_id(headers, scope))
        scope["observation"], scope["streams"] = seen, self.streams
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = seen.request_id
            await send(message)

        self.num_active += 1
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            self.num_active -= 1
            status = CLIENT_GONE if seen.error == "client_disconnect" else status or CLIENT_GONE
            self._record(scope, headers, seen, status)

    def _record(self, scope: Scope, headers: Headers, seen: Observation, status: int) -> None:
        duration_s = time.monotonic() - seen.arrived_s
        self._write(json.dumps(_line(scope, headers, seen, status, duration_s)))
        if seen.operation:
            self._services.metrics.observe(self._counted(headers, seen, status, duration_s))

    def _counted(self, headers: Headers, seen: Observation, status: int, duration_s: float) -> Seen:
        model, engine = self._label(seen.model)
        usage = seen.usage
        return Seen(
            operation=seen.operation,
            model=model,
            engine=engine,
            status=status,
            error=seen.error,
            finish_reason=seen.finish_reason or "",
            duration_s=duration_s,
            ttft_s=seen.ttft_s,
            tpot_s=seen.tpot_s,
            queue_s=usage.queue_s,
            prefill_s=usage.prefill_s,
            decode_s=usage.decode_s,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            num_retries=_num_retries(headers),
            client=_client(headers),
        )

    def _label(self, model: str) -> tuple[str, str]:
        """Only names of the store become labels: callers must not be able to invent series."""
        try:
            card = self._services.catalog.get(model)
        except CanteenError:
            return "unknown", "none"
        return card.name, card.engine


def _line(
    scope: Scope, headers: Headers, seen: Observation, status: int, duration_s: float
) -> dict[str, object]:
    """The access record; no text of prompt or answer."""
    trace = TRACE.fullmatch(headers.get("traceparent", ""))
    usage = seen.usage
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "event": "request",
        "request_id": seen.request_id,
        "trace_id": trace[1] if trace else None,
        "span_id": trace[2] if trace else None,
        "caller": seen.caller_id,
        "method": scope["method"],
        "route": scope["path"],
        "status": status,
        "error": seen.error or None,
        "operation": seen.operation or None,
        "model": seen.model or None,
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "truncated_tokens": usage.truncated_tokens,
        "finish_reason": seen.finish_reason,
        "queue_ms": _ms(usage.queue_s),
        "ttft_ms": _ms(seen.ttft_s),
        "tpot_ms": _ms(seen.tpot_s),
        "duration_ms": _ms(duration_s),
        "retry_count": _num_retries(headers),
        "user_agent": headers.get("user-agent"),
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if SANE_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"


def _caller_id(headers: Headers, scope: Scope) -> str:
    """A hash of the presented key, else the address; never the key itself."""
    bearer = headers.get("authorization", "").removeprefix("Bearer").strip()
    key = bearer or headers.get("api-key", "") or headers.get("x-api-key", "")
    if key:
        return f"key_{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    return f"addr_{scope['client'][0]}" if scope.get("client") else "addr_unknown"


def _num_retries(headers: Headers) -> int:
    text = headers.get("x-stainless-retry-count", "0")
    return int(text) if text.isdecimal() and len(text) < 6 else 0


def _client(headers: Headers) -> str:
    """The kind of client, from a closed list, since it becomes a label."""
    language = headers.get("x-stainless-lang", "")
    return language if language in ("python", "java", "js", "go", "ruby") else "other"
