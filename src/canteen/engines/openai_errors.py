"""What an upstream's refusal means to who asked here; pure."""

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from canteen.core.errors import (
    CanteenError,
    ContextTooLong,
    InvalidRequest,
    Overloaded,
    UpstreamFailed,
)

# Of a refusal so much is read, and so much of its sentence is told on.
MOST_BYTES = 64 << 10
MOST_CHARACTERS = 500
AGAIN = "please send the request again"
# Where it does not say how long to wait.
USUAL_WAIT_S = 1.0
LONGEST_WAIT_S = 3600.0
# Canteen's words, then OpenAI's and vLLM's.
_TOO_LONG = (
    re.compile(r"has (?:at least )?(?P<prompt>\d+) tokens and the context holds (?P<context>\d+)"),
    re.compile(
        r"maximum context length is (?P<context>\d+) tokens.*?"
        r"(?:resulted in|requested) (?P<prompt>\d+)",
        re.S,
    ),
)


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> CanteenError:
    """The error of a status other than 200. Only what the caller can mend is told in the
    upstream's words."""
    if status in (400, 413, 422):
        return _invalid(body)
    if status == 429 or (status == 503 and _asked_wait_s(headers) is not None):
        return _busy("is busy", headers, "upstream_busy")
    if status == 503:
        return _busy("is not available", headers, "upstream_unavailable")
    if status in (401, 403):
        return UpstreamFailed(
            f"the upstream refuses the key ({status}); see where the model's key is read from",
            code="upstream_refused",
        )
    if status == 404:
        return UpstreamFailed(
            "the upstream knows no such model or route (404); see its base URL and model",
            code="upstream_refused",
        )
    return UpstreamFailed(f"the upstream failed ({status}); {AGAIN}")


def _invalid(body: bytes) -> InvalidRequest:
    told = _error(body)
    message, code = str(told.get("message") or ""), told.get("code")
    for pattern in _TOO_LONG:
        if found := pattern.search(message):
            return ContextTooLong(int(found["prompt"]), int(found["context"]))
    param = told.get("param")
    return InvalidRequest(
        f"the upstream refuses the request: {message[:MOST_CHARACTERS] or 'it does not say why'}",
        param=str(param) if param else None,
        code=str(code) if code else None,
    )


def _error(body: bytes) -> Mapping[str, object]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    error = told.get("error") if isinstance(told, dict) else None
    return error if isinstance(error, dict) else {}


def _busy(how: str, headers: Mapping[str, str], code: str) -> Overloaded:
    wait_s = _asked_wait_s(headers)
    return Overloaded(
        f"the upstream {how}; please try again",
        retry_after_s=USUAL_WAIT_S if wait_s is None else wait_s,
        code=code,
    )


def _asked_wait_s(headers: Mapping[str, str]) -> float | None:
    """Seconds it asks to wait, within reason; None where it says nothing that makes sense."""
    try:
        if "retry-after-ms" in headers:
            wait_s = float(headers["retry-after-ms"]) / 1000
        elif (told := headers["retry-after"]).strip().isdecimal():
            wait_s = float(told)
        else:
            wait_s = parsedate_to_datetime(told).timestamp() - time.time()
    except (KeyError, TypeError, ValueError):
        return None
    return min(max(wait_s, 0.0), LONGEST_WAIT_S)
