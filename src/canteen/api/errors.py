"""From an error to a status, headers, and the body of our own routes."""

import math
from http import HTTPStatus
from typing import Any

from canteen.core import trace
from canteen.core.errors import (
    BudgetSpent,
    CanteenError,
    ClassifierNotFound,
    DeadlineExceeded,
    Forbidden,
    IndexNotFound,
    InvalidRequest,
    JobNotFound,
    KeyNotFound,
    ModelNotFound,
    NotSupported,
    Overloaded,
    PromptNotFound,
    RateLimited,
    StorageFull,
    Unauthorized,
    UpstreamFailed,
)

CLIENT_GONE = 499
SHUTTING_DOWN = "server_shutting_down"
# Some clients sleep as long as they are told, whatever else they are told. What a model still takes
# to load is told as it is.
LONGEST_WAIT_S = 60
# The words of the inference gateways of llm-d, by the code of the error.
DROPPED = {
    "overloaded": "rejected-saturated",
    "rate_limit_exceeded": "rejected-saturated",
    "deadline_exceeded": "rejected-ttl-expired",
    "model_loading": "rejected-no-endpoints",
    "too_many_connections": "rejected-saturated",
    "draining": "rejected-shutting-down",
    "circuit_open": "rejected-no-endpoints",
    "upstream_busy": "rejected-saturated",
    "upstream_unavailable": "rejected-no-endpoints",
}


class HttpError(InvalidRequest):
    """A refusal that only HTTP knows: no such route, wrong method, body too large."""

    def __init__(
        self, status: int, message: str, *, code: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.headers = headers or {}


class Unexpected(CanteenError):
    """A fault of ours; the log, not the caller, is told which."""

    code = "internal_error"

    def __init__(self, request_id: str) -> None:
        super().__init__(f"something went wrong here; the log has it under request id {request_id}")


_STATUSES: tuple[tuple[type[CanteenError], int], ...] = (
    (ModelNotFound, 404),
    (PromptNotFound, 404),
    (IndexNotFound, 404),
    (ClassifierNotFound, 404),
    (JobNotFound, 404),
    (KeyNotFound, 404),
    (Unauthorized, 401),
    (Forbidden, 403),
    (NotSupported, 501),
    (InvalidRequest, 400),
    (DeadlineExceeded, 408),
    (RateLimited, 429),
    (Overloaded, 503),
    (StorageFull, 507),
    (UpstreamFailed, 502),
)


def status_of(error: CanteenError) -> int:
    """The HTTP status that says whose turn it is: 4xx the caller's, 503 later, 500 ours."""
    if isinstance(error, HttpError):
        return error.status
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def headers_of(error: CanteenError) -> dict[str, str]:
    """What tells a client whether and when to try again, and its gateway why it was refused."""
    reason = DROPPED.get(error.code)
    return _advice(error) | ({"x-llm-d-request-dropped-reason": reason} if reason else {})


def _advice(error: CanteenError) -> dict[str, str]:
    if isinstance(error, HttpError):
        return {"x-should-retry": "false", **error.headers}
    if isinstance(error, Unauthorized):
        why = "" if error.code == "missing_api_key" else ', error="invalid_token"'
        return {"x-should-retry": "false", "www-authenticate": f'Bearer realm="canteen"{why}'}
    if isinstance(error, InvalidRequest | StorageFull):
        return {"x-should-retry": "false"}
    if not isinstance(error, Overloaded):
        return {}
    most_s = math.inf if error.code == "model_loading" else LONGEST_WAIT_S
    wait_ms = max(1, math.ceil(min(error.retry_after_s, most_s) * 1000))
    headers = {"retry-after": str(math.ceil(wait_ms / 1000)), "retry-after-ms": str(wait_ms)}
    if isinstance(error, BudgetSpent):
        return headers | {"x-should-retry": "false"}
    if error.code in ("draining", "too_many_connections", SHUTTING_DOWN):
        headers |= {"x-should-retry": "true", "connection": "close"}
    return headers


def problem(error: CanteenError, status: int) -> dict[str, Any]:
    """A problem of RFC 9457, which our own routes answer with."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.message,
        "code": error.code,
    }
    if isinstance(error, InvalidRequest) and error.param:
        body["param"] = error.param
    if isinstance(error, Overloaded):
        body["retry_after_ms"] = max(1, math.ceil(error.retry_after_s * 1000))
    if trace_id := trace.current().trace_id:
        body["trace_id"] = trace_id
    return body


def shutting_down() -> Overloaded:
    """What ends an answer that outlives the time given to it at shutdown."""
    return Overloaded(
        "the server is shutting down; ask again", retry_after_s=1.0, code=SHUTTING_DOWN
    )
