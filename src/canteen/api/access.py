"""The outermost layer: ids in and out, one line of log and one count at the end of a request."""

import hashlib
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from canteen.api.auth import shown
from canteen.api.errors import CLIENT_GONE, SHUTTING_DOWN
from canteen.api.observation import Observation
from canteen.api.terms import terms_of
from canteen.api.tracing import TRACE
from canteen.core import trace
from canteen.core.errors import CanteenError, DeadlineExceeded
from canteen.core.footprint import Receipt
from canteen.core.moments import now
from canteen.metering.metrics import RequestRecord

if TYPE_CHECKING:
    from canteen.bootstrap import Services

SANE_ID = re.compile(r"[\x20-\x7e]{1,128}")
LONGEST_USER_AGENT = 256
REJECTIONS = frozenset(
    {"overloaded", "rate_limit_exceeded", "model_loading", "draining", "too_many_connections"}
)
CLIENT_LANGUAGES = frozenset({"python", "java", "js", "go", "ruby", "kotlin", "csharp"})

# In the scope of a request that came by a front: when it came there, on our clock.
ARRIVED_S = "canteen.arrived_s"

Write = Callable[[bytes], object]


class Access:
    """ASGI: gives each request its Observation, and writes it down when all is sent."""

    def __init__(self, app: ASGIApp, services: "Services", write: Write) -> None:
        self._app = app
        self._catalog = services.catalog
        self._metrics = services.metrics
        self._till = services.till
        self._write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        here: trace.Trace = scope.get(TRACE) or trace.incoming(headers)
        trace.enter(here)
        observe = Observation(
            _request_id(headers),
            here.trace_id,
            _caller_id(headers, scope),
            terms_of(headers),
        )
        observe.arrived_s = scope.get(ARRIVED_S, observe.arrived_s)
        observe.route = scope["path"]
        observe.span_id = here.span_id
        scope["canteen.observe"] = observe
        try:
            await self._app(scope, receive, self._identified(send, observe))
        finally:
            if observe.account is not None:
                observe.account.end()
            if observe.is_gone or not observe.status:
                observe.status = CLIENT_GONE
            self._record(scope["method"], headers, observe)

    def _identified(self, send: Send, observe: Observation) -> Send:
        """Adds the ids of request and receipt to the answer, and notes its status."""

        async def send_with_ids(message: Message) -> None:
            if message["type"] == "http.response.start":
                observe.status = message["status"]
                added = MutableHeaders(scope=message)
                added["x-request-id"] = observe.request_id
                if self._has_receipt(observe):
                    added["x-canteen-receipt"] = observe.receipt_id
                if observe.account is not None:
                    added.update(observe.account.headers)
            await send(message)

        return send_with_ids

    def _has_receipt(self, observe: Observation) -> bool:
        """That of a stream is to come; after an error all is done that will be."""
        if observe.status < 400:
            return self._till.knows(observe.receipt_id)
        return self._till.settle(observe.receipt_id, observe.usage.queue_s) is not None

    def _record(self, method: str, headers: Headers, observe: Observation) -> None:
        duration_s = observe.clock() - observe.arrived_s
        # Where nobody was there to get it, it is made out all the same.
        receipt = self._till.settle(observe.receipt_id, observe.usage.queue_s)
        line = {**_line(method, headers, observe, duration_s), **eaten(receipt)}
        self._write(msgspec.json.encode(line) + b"\n")
        if observe.operation:
            counted = self._counted(headers, observe, duration_s)
            self._metrics.record(replace(counted, receipt=receipt))

    def _counted(self, headers: Headers, observe: Observation, duration_s: float) -> RequestRecord:
        aborted = _aborted(observe)
        error = observe.error_code or (str(observe.status) if observe.status >= 400 else "")
        return RequestRecord(
            operation=observe.operation,
            model=self._label(observe.model),
            duration_s=duration_s,
            usage=observe.usage,
            finish_reason=observe.finish_reason,
            error=error,
            rejected=observe.error_code if observe.error_code in REJECTIONS else "",
            aborted=aborted,
            num_tokens_wasted=observe.num_tokens if aborted else 0,
            ttft_s=observe.ttft_s,
            tpot_s=observe.tpot_s,
            deadline_slack_s=_slack_s(observe),
            retrying_client=_client(headers) if observe.terms.num_retries else "",
            trace_id=observe.trace_id,
        )

    def _label(self, model: str) -> str:
        """Only names of the store become labels: callers must not be able to invent series."""
        if not model:
            return ""
        try:
            return self._catalog.get(model).name
        except CanteenError:
            return "unknown"


def _line(
    method: str, headers: Headers, observe: Observation, duration_s: float
) -> Mapping[str, Any]:
    """The access record; no text of prompt or answer."""
    usage = observe.usage
    return {
        "time": now("milliseconds"),
        "event": "request",
        "request_id": observe.request_id,
        "trace_id": observe.trace_id,
        "span_id": observe.span_id,
        "audit": observe.audit,
        "caller": observe.caller_id,
        "method": method,
        "route": observe.route,
        "status": observe.status,
        "error": observe.error_code,
        "operation": observe.operation,
        "model": observe.model,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens or observe.num_tokens,
        "cached_tokens": usage.cached_tokens,
        "truncated_tokens": usage.truncated_tokens,
        "finish_reason": observe.finish_reason,
        "queue_ms": _ms(usage.queue_s),
        "ttft_ms": _ms(observe.ttft_s),
        "tpot_ms": _ms(observe.tpot_s),
        "duration_ms": _ms(duration_s),
        "user_agent": headers.get("user-agent", "")[:LONGEST_USER_AGENT],
        "retry_count": observe.terms.num_retries,
    }


def eaten(receipt: Receipt | None) -> Mapping[str, Any]:
    """What a request ate, where a model worked for it."""
    if receipt is None:
        return {"receipt_id": "", "energy_uj": 0}
    return {"receipt_id": receipt.id, "energy_uj": receipt.charge.energy_uj}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def _aborted(observe: Observation) -> str:
    if observe.is_gone:
        return "client_disconnect"
    return {SHUTTING_DOWN: "drain", DeadlineExceeded.code: "deadline"}.get(observe.error_code, "")


def _slack_s(observe: Observation) -> float | None:
    """What was left of the caller's time when its answer was whole."""
    is_answered = observe.finish_reason and not observe.error_code and not observe.is_gone
    if observe.deadline_s is None or not observe.terms.has_deadline or not is_answered:
        return None
    return observe.deadline_s - observe.clock()


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if SANE_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"


def _caller_id(headers: Headers, scope: Scope) -> str:
    """A hash of the presented key, else the address; never the key itself."""
    key = shown(headers)
    if key:
        return f"key-{hashlib.sha256(key.encode('latin-1')).hexdigest()[:16]}"
    return str(scope["client"][0]) if scope.get("client") else "unknown"


def _client(headers: Headers) -> str:
    """The kind of client, from a closed list, since it becomes a label."""
    language = headers.get("x-stainless-lang", "")
    return language if language in CLIENT_LANGUAGES else "other"
