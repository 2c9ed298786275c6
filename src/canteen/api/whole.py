"""Answers that come whole, as JSON."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from canteen.api.streaming import json_bytes
from canteen.core.generation import Usage


def whole(
    body: Any,
    usage: Usage | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A JSON body; what was cut from the prompt at the caller's wish is said in a header."""
    told = dict(headers or {})
    if usage is not None and usage.truncated_tokens:
        told["x-truncated-tokens"] = str(usage.truncated_tokens)
    return Response(json_bytes(body), status, told, "application/json")
