"""The lines of a batch's file: each a request with an id of its caller's. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from canteen.runtime.deferred.request import storable

MOST_LINES = 10_000
# Of a file that is all wrong, the first are enough to see why.
MOST_ERRORS = 100


@dataclass(frozen=True, slots=True)
class Line:
    """A request: the body that is asked, by the id that its caller knows it by."""

    number: int
    custom_id: str
    body: Mapping[str, Any]


class _Wrong(Exception):
    """What is wrong with a line, by its code and its field."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def lines_of(text: str, endpoint: str) -> tuple[list[Line], list[dict[str, Any]]]:
    """The requests of a file to one endpoint, and what is wrong with others, by number."""
    lines: list[Line] = []
    errors: list[dict[str, Any]] = []
    seen: set[str] = set()
    for number, written in enumerate(text.split("\n"), 1):
        if not written.strip():
            continue
        try:
            line = _line(number, written, endpoint)
            if line.custom_id in seen:
                raise _Wrong(
                    "duplicate_custom_id", f"custom_id {line.custom_id!r} was there before"
                )
            seen.add(line.custom_id)
            lines.append(line)
        except _Wrong as wrong:
            errors.append(_told(wrong, number))
    if not lines and not errors:
        errors.append(_told(_Wrong("empty_file", "the file has no requests"), None))
    if len(lines) > MOST_LINES:
        said = f"the file has {len(lines)} requests, and {MOST_LINES} are the most"
        errors.insert(0, _told(_Wrong("too_many_tasks", said), None))
    return lines, errors[:MOST_ERRORS]


def _line(number: int, written: str, endpoint: str) -> Line:
    try:
        told = json.loads(written)
    except (ValueError, RecursionError) as exc:
        raise _Wrong("invalid_json_line", f"this is not JSON: {exc}") from exc
    if not isinstance(told, dict):
        raise _Wrong("invalid_json_line", "a line is a JSON object")
    custom_id, body = told.get("custom_id"), told.get("body")
    if not isinstance(custom_id, str) or not custom_id or storable(custom_id) != custom_id:
        raise _Wrong("missing_required_parameter", "custom_id must be a text", "custom_id")
    if told.get("method", "POST") != "POST":
        raise _Wrong("invalid_method", "method must be POST", "method")
    if told.get("url") != endpoint:
        raise _Wrong("mismatched_url", f"url must be that of the batch, {endpoint}", "url")
    if not isinstance(body, dict):
        raise _Wrong("missing_required_parameter", "body must be a JSON object", "body")
    if body.get("stream") or body.get("background"):
        raise _Wrong(
            "invalid_request",
            "an answer of a batch comes whole, and later: leave out stream and background",
            "body.stream" if body.get("stream") else "body.background",
        )
    return Line(number, custom_id, body)


def _told(wrong: _Wrong, number: int | None) -> dict[str, Any]:
    return {"code": wrong.code, "message": str(wrong), "param": wrong.param, "line": number}
