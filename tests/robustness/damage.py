"""Good requests of every route that takes a body, and ways to spoil them."""

import json
import random
from collections.abc import Callable
from typing import Any

TEXT = "Wer fährt so spät durch Nacht und Wind? 🌍"
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
TOOL = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": TEXT}]
TURNS = [
    {"role": "user", "content": TEXT},
    {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": TEXT}]},
]
GOOD: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "model": "echo",
        "messages": MESSAGES,
        "max_tokens": 4,
        "temperature": 0.5,
        "n": 2,
        "stop": ["x"],
        "tools": [TOOL],
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    "/chat/completions": {
        "model": "echo",
        "messages": MESSAGES,
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}},
    },
    "/v1/completions": {"model": "echo", "prompt": [TEXT, "b"], "max_tokens": 3, "logprobs": 0},
    "/v1/embeddings": {"model": "echo-embed", "input": [TEXT, ""], "dimensions": 8},
    "/v1/responses": {
        "model": "echo",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": TEXT}]}],
        "tools": [{"type": "function", "name": "look", "parameters": SCHEMA}],
        "tool_choice": "required",
        "stream": True,
    },
    "/v1/messages": {
        "model": "echo",
        "max_tokens": 4,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": TURNS,
        "stop_sequences": ["x"],
        "tools": [{"name": "look", "description": "looks", "input_schema": SCHEMA}],
        "tool_choice": {"type": "auto"},
        "stream": True,
    },
    "/v1/messages/count_tokens": {"model": "echo", "messages": TURNS},
    "/api/chat": {
        "model": "echo",
        "messages": MESSAGES,
        "tools": [TOOL],
        "options": {"num_predict": 4, "temperature": 0.1, "stop": ["x"], "seed": 7},
    },
    "/api/generate": {"model": "echo", "prompt": TEXT, "format": SCHEMA, "stream": False},
    "/api/embed": {"model": "echo-embed", "input": [TEXT], "truncate": True},
    "/api/embeddings": {"model": "echo-embed", "prompt": TEXT},
    "/api/show": {"model": "echo", "verbose": False},
    "/api/copy": {"source": "echo", "destination": "copied"},
    "/api/create": {"model": "created", "from": "echo", "parameters": {"temperature": 0.1}},
}
NUMBERS = (
    *("NaN", "Infinity", "-Infinity", "1e308", "-1e308", "1e999", "-0.0", "0", "-1", "1e-320"),
    *("9" * 400, "18446744073709551616", "-9223372036854775809", "2147483648", "0.1", "01", "+1"),
)
VALUES = (
    *NUMBERS,
    *("null", "true", "[]", "{}", '""', "[[]]", "[null]", '[""]', "[{}]", '{"":0}', '"\\u0000"'),
    *('"\\ud800"', '"\\udc00\\ud800"', '"' + "x" * 5000 + '"', "[" * 200 + "]" * 200),
    *('{"a":' * 150 + "1" + "}" * 150, "'a'", "undefined", "", '"\\x"', '{"a":1,"a":2}'),
)

Spoil = Callable[[random.Random, bytes], bytes]


def another_value(chance: random.Random, body: bytes) -> bytes:
    """One value anywhere becomes something absurd."""
    mark = "\\u0001spoiled\\u0001"
    value = json.loads(body)
    holder, key = chance.choice(list(_places(value)))
    holder[key] = "\x01spoiled\x01"
    text = json.dumps(value).replace(f'"{mark}"', chance.choice(VALUES))
    return text.encode()


def cut(chance: random.Random, body: bytes) -> bytes:
    """It ends too early."""
    return body[: chance.randrange(len(body))]


def other_bytes(chance: random.Random, body: bytes) -> bytes:
    """Some bytes are others, which makes bad JSON, bad UTF-8, or another text."""
    spoiled = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
    return bytes(spoiled)


def said_twice(chance: random.Random, body: bytes) -> bytes:
    """A part of it comes again."""
    start, end = sorted(chance.choices(range(len(body) + 1), k=2))
    return body[:end] + body[start:]


SPOILS: tuple[Spoil, ...] = (another_value, another_value, cut, other_bytes, said_twice)


def _places(value: Any) -> Any:
    """Every holder of a value, with the key it is held under."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        # What names a model stays, or nothing else would ever be looked at.
        if key not in ("model", "source"):
            yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])
