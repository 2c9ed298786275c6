"""What every answer to a bad request must be: a 2xx, or a refusal in its dialect's shape."""

import json
from collections.abc import Mapping

from canteen.api.native import DIALECT as NATIVE

# Not done by this model or installation, no place now, no room on the disk.
OTHER_STATUSES = frozenset({501, 503, 507})
OUR_FAULTS = (b"something went wrong", b"the engine", b"the process", b"the model's answer")
OPENAI_ROOTS = ("/v1/", "/chat/", "/completions", "/embeddings", "/models", "/responses")
OUR_ROOTS = tuple(
    "/".join(route.path.split("/")[:3]) for route in NATIVE.routes if route.path.startswith("/v1/")
)
OPENAI_KEYS = {"message", "type", "param", "code"}
ANTHROPIC_ROOT = "/v1/messages"
ANTHROPIC_KEYS = {"type", "error", "code", "param"}


def problem_with(
    status: int, headers: Mapping[str, str], body: bytes, path: str, method: str = "POST"
) -> str:
    """What is wrong with an answer; '' where nothing is."""
    if 200 <= status < 300:
        return _problem_with_success(body)
    if not 400 <= status < 500 and status not in OTHER_STATUSES:
        return f"status {status}: {body[:300]!r}"
    if status < 500 and status != 408 and headers.get("x-should-retry") != "false":
        return "a refusal for good does not say so"
    return "" if method == "HEAD" else _problem_with_shape(body, path)


def _problem_with_success(body: bytes) -> str:
    """A stream may end with a refusal, but not with a fault of ours."""
    last = body.rstrip().rpartition(b"\n")
    is_error = last[0].endswith(b"event: error") or last[2].startswith(b'{"error"')
    is_ours = any(words in last[2] for words in OUR_FAULTS)
    return f"a stream ended with {last[2]!r}" if is_error and is_ours else ""


def _problem_with_shape(body: bytes, path: str) -> str:
    try:
        error = json.loads(body)
    except ValueError:
        return f"the error is no JSON: {body[:300]!r}"
    if path == "/" or path.startswith("/api/"):
        is_right = isinstance(error.get("error"), str)
    elif path.startswith(ANTHROPIC_ROOT):
        is_right = error.keys() == ANTHROPIC_KEYS and error["error"].keys() == {"type", "message"}
    elif path.startswith(OPENAI_ROOTS) and not path.startswith(OUR_ROOTS):
        is_right = isinstance(error.get("error"), dict) and error["error"].keys() == OPENAI_KEYS
    else:
        is_right = {"type", "title", "status", "detail", "code"} <= error.keys()
    return "" if is_right else f"not the dialect's shape: {error}"
