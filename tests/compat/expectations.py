"""Checks a reply against the `expects` entries of the Java wire fixtures (see their README)."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jsonschema_rs

from tests.compat.sockets import Reply

MISSING = object()
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
KINDS = frozenset({"status", "header", "json-path", "sse", "ndjson"})


@dataclass(frozen=True)
class Exchange:
    """A request of a fixture and what came back."""

    request: Mapping[str, Any]
    reply: Reply

    @property
    def json(self) -> Any:
        return json.loads(self.reply.body)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.reply.body.decode().splitlines() if line]

    @property
    def events(self) -> list[tuple[str, str]]:
        """Name and data of every server-sent event, comments left out."""
        found = []
        for block in self.reply.body.decode().split("\n\n"):
            fields = [line.partition(": ") for line in block.splitlines() if line[:1] != ":"]
            named = {name: value for name, _, value in fields}
            if named:
                found.append((named.get("event", ""), named["data"]))
        return found

    @property
    def frames(self) -> list[Any]:
        return [json.loads(data) for _, data in self.events if data != "[DONE]"]


def failures(expect: Mapping[str, Any], exchange: Exchange) -> Iterator[str]:
    """What of an expectation does not hold; keys of `detail` that are not known are skipped."""
    assert expect["kind"] in KINDS, f"unknown kind {expect['kind']}"
    checks = CHECKS[expect["kind"]]
    for key, detail in expect["detail"].items():
        if key in checks and not checks[key](exchange, detail):
            yield f"{expect['must']} [{key}: {detail}] {exchange.reply.body[-600:]!r}"


def values(path: str, document: Any) -> list[Any]:
    """What a path like `$.choices[*].delta` names; MISSING where a key is not there."""
    found = [document]
    for key, index in re.findall(r"\.([A-Za-z_]\w*)|\[(\*|\d+)\]", path.removeprefix("$")):
        if key:
            found = [one.get(key, MISSING) if isinstance(one, dict) else MISSING for one in found]
        elif index == "*":
            found = [item for one in found for item in (one if isinstance(one, list) else [])]
        else:
            found = [_item(one, int(index)) for one in found]
    return found


def _item(value: Any, index: int) -> Any:
    return value[index] if isinstance(value, list) and len(value) > index else MISSING


def _is_base64(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(base64.b64decode(value, validate=True)) % 4 == 0
    except binascii.Error:
        return False


def _holds_json(value: Any) -> bool:
    return isinstance(value, str) and isinstance(json.loads(value), dict)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "string or null": lambda value: value is None or isinstance(value, str),
    "non-empty string": lambda value: isinstance(value, str) and value != "",
    "integer": _is_integer,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string or object": lambda value: isinstance(value, str | dict),
    "array of numbers": lambda value: isinstance(value, list) and all(map(_is_number, value)),
    "base64 string": _is_base64,
    "string holding JSON": _holds_json,
    "RFC 3339": lambda value: isinstance(value, str) and bool(RFC_3339.fullmatch(value)),
    "RFC 3339 UTC with Z": lambda value: (
        isinstance(value, str) and value.endswith("Z") and bool(RFC_3339.fullmatch(value))
    ),
}


def fits(value: Any, wanted: Any) -> bool:
    if not isinstance(wanted, str):
        return bool(value == wanted)
    if wanted in TYPES:
        return TYPES[wanted](value)
    return value in wanted.split("|")


def _has(document: Any, required: Mapping[str, Any]) -> bool:
    return all(
        fits(value, wanted) for path, wanted in required.items() for value in values(path, document)
    )


def _lacks(document: Any, paths: list[str]) -> bool:
    return all(value is MISSING for path in paths for value in values(path, document))


def _validates(exchange: Exchange, places: Mapping[str, str]) -> bool:
    """The value at each path obeys the schema at a place of the request."""
    for path, place in places.items():
        body = exchange.request["body"]
        (schema,) = values(place.replace("request", "$", 1), body)
        (value,) = values(path, exchange.json)
        instance = json.loads(value) if isinstance(value, str) else value
        if not jsonschema_rs.is_valid(schema, instance):
            return False
    return True


def _match(exchange: Exchange, patterns: Mapping[str, str]) -> bool:
    """What is there at a path, in whichever line, is written like that."""
    return all(
        value is MISSING or re.search(pattern, value)
        for path, pattern in patterns.items()
        for line in exchange.lines
        for value in values(path, line)
    )


def _only_keys(exchange: Exchange, allowed: Mapping[str, list[str]]) -> bool:
    return all(
        value is MISSING or value.keys() <= set(keys)
        for path, keys in allowed.items()
        for line in exchange.lines
        for value in values(path, line)
    )


def _contains(exchange: Exchange, wanted: Mapping[str, str]) -> bool:
    """Echo has said back what it was told: "contains TEXT"."""
    return all(
        text.removeprefix("contains ") in values(path, exchange.json)[0]
        for path, text in wanted.items()
    )


def _num_inputs(exchange: Exchange) -> int:
    given = exchange.request["body"]["input"]
    is_one = isinstance(given, str) or (given and isinstance(given[0], int))
    return 1 if is_one else len(given)


def _no_close(exchange: Exchange, forbidden: Mapping[str, str]) -> bool:
    return all(
        (exchange.reply.header(name.lower()) or "").lower() != value.lower()
        for name, value in forbidden.items()
    )


def _has_values(exchange: Exchange, wanted: Mapping[str, str]) -> bool:
    return all(
        (exchange.reply.header(name.lower()) or "").startswith(value)
        for name, value in wanted.items()
    )


def _has_headers(exchange: Exchange, required: Any) -> bool:
    if isinstance(required, dict):
        return _has_values(exchange, required)
    names = [required] if isinstance(required, str) else required
    return all(exchange.reply.header(name.lower()) for name in names)


def _tool_deltas(exchange: Exchange) -> Iterator[tuple[bool, Any]]:
    """Every tool-call delta, and whether it is the first of its call."""
    seen: set[int] = set()
    for delta in (
        one
        for frame in exchange.frames
        for one in values("$.choices[*].delta.tool_calls[*]", frame)
    ):
        yield delta["index"] not in seen, delta
        seen.add(delta["index"])


def _first_deltas_have(exchange: Exchange, keys: list[str]) -> bool:
    firsts = [delta for is_first, delta in _tool_deltas(exchange) if is_first]
    return bool(firsts) and all(
        values(f"$.{key}", delta) != [MISSING] for delta in firsts for key in keys
    )


def _later_deltas_lack(exchange: Exchange, keys: list[str]) -> bool:
    later = [delta for is_first, delta in _tool_deltas(exchange) if not is_first]
    return all(values(f"$.{key}", delta) == [MISSING] for delta in later for key in keys)


def _arguments_join(exchange: Exchange, path: str) -> bool:
    pieces = [piece for frame in exchange.frames for piece in values(path, frame)]
    return _holds_json("".join(piece for piece in pieces if piece is not MISSING))


def _rises(exchange: Exchange, path: str) -> bool:
    numbers = [values(path, frame)[0] for frame in exchange.frames]
    return all(one < other for one, other in pairwise(numbers))


def _num_usage(exchange: Exchange) -> int:
    return sum(frame.get("choices") == [] and "usage" in frame for frame in exchange.frames)


def _media_type(exchange: Exchange, wanted: str) -> bool:
    return (exchange.reply.header("content-type") or "").partition(";")[0] == wanted


Check = Callable[[Exchange, Any], bool]
CHECKS: dict[str, dict[str, Check]] = {
    "status": {
        "equals": lambda exchange, wanted: exchange.reply.status == wanted,
        "allowed": lambda exchange, wanted: exchange.reply.status in wanted,
        "not_equals": lambda exchange, unwanted: exchange.reply.status not in unwanted,
        "keys_off": lambda exchange, wanted: exchange.reply.status == wanted,
        "interim": lambda exchange, wanted: wanted in exchange.reply.interim,
        "content_type": _media_type,
    },
    "header": {
        "required": _has_headers,
        "required_values": _has_values,
        "forbidden": lambda exchange, names: all(
            exchange.reply.header(name.lower()) is None for name in names
        ),
        "forbidden_values": _no_close,
        "max": lambda exchange, limits: all(
            int(exchange.reply.header(name) or 0) <= limit for name, limit in limits.items()
        ),
    },
    "json-path": {
        "required": lambda exchange, required: _has(exchange.json, required),
        "absent": lambda exchange, paths: _lacks(exchange.json, paths),
        "validate": _validates,
        "pattern": _match,
        "only_keys": _only_keys,
        "echo_engine": _contains,
        "newlines_inside_object": lambda exchange, wanted: (
            exchange.reply.body.strip().count(b"\n") == wanted
        ),
        "parses_as_object": lambda exchange, path: _holds_json(values(path, exchange.json)[0]),
        "length_of_data": lambda exchange, _: len(exchange.json["data"]) == _num_inputs(exchange),
        "length_of_embeddings": lambda exchange, _: (
            len(exchange.json["embeddings"]) == _num_inputs(exchange)
        ),
    },
    "sse": {
        "content_type": _media_type,
        "no_content_encoding": lambda exchange, _: (
            exchange.reply.header("content-encoding") is None
        ),
        "event": lambda exchange, wanted: exchange.events[-1][0] == wanted,
        "required": lambda exchange, required: _has(exchange.frames[-1], required),
        "each_chunk_required": lambda exchange, required: all(
            _has(frame, required) for frame in exchange.frames
        ),
        "same_in_all": lambda exchange, paths: all(
            len({values(path, frame)[0] for frame in exchange.frames}) == 1 for path in paths
        ),
        "absent_in_all": lambda exchange, paths: all(
            _lacks(frame, paths) for frame in exchange.frames
        ),
        "usage_chunks": lambda exchange, wanted: _num_usage(exchange) == wanted,
        "last_event": lambda exchange, wanted: exchange.events[-1][1] == wanted,
        "last_event_not": lambda exchange, unwanted: exchange.events[-1][1] != unwanted,
        "last_type": lambda exchange, wanted: exchange.frames[-1]["type"] == wanted,
        "event_equals": lambda exchange, path: all(
            name == values(path, json.loads(data))[0] for name, data in exchange.events
        ),
        "rising": _rises,
        "first_delta_required": _first_deltas_have,
        "later_delta_forbidden": _later_deltas_lack,
        "concatenate": _arguments_join,
        "finish_reason": lambda exchange, wanted: any(
            wanted in values("$.choices[*].finish_reason", frame) for frame in exchange.frames
        ),
        "one_write_per_event": lambda exchange, _: all(
            piece.endswith(b"\n\n") or piece.startswith(b":") for piece in exchange.reply.pieces
        ),
    },
    "ndjson": {
        "content_type": _media_type,
        "each_line_required": lambda exchange, required: all(
            _has(line, required) for line in exchange.lines
        ),
        "last_line_required": lambda exchange, required: _has(exchange.lines[-1], required),
        "blank_lines": lambda exchange, _: b"\n\n" not in exchange.reply.body,
        "newlines_inside_object": lambda exchange, _: len(exchange.lines) > 0,
    },
}
