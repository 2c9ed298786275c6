"""What a grammar may hold at most, for engines whose library (xgrammar) compiles it."""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.core.generation import Grammar

# Compiling takes seconds beyond these, while every running request waits.
MOST_REPEATS = 300
MOST_BOUND = 256
MOST_BOUNDS = 1_024

_BOUNDS = ("minLength", "maxLength", "minItems", "maxItems")
_REPEATS = re.compile(r"\{(\d+)?,?(\d+)?\}")


def loosened(grammar: Grammar) -> Any:
    """A JSON grammar's schema less its bounds that are too large, which are left to the validation
    of the finished text."""
    schema = {"type": "object"} if grammar.kind == "json_object" else json.loads(grammar.value)
    return _loosened(schema, _largest(sorted(_bounds(schema))))


def check(grammar: Grammar) -> None:
    """Raise InvalidRequest for a pattern that takes too long to compile, or what is no JSON."""
    is_regex = grammar.kind == "regex"
    patterns = [grammar.value] if is_regex else _patterns(_parsed(grammar))
    if any(map(_is_large, patterns)):
        raise InvalidRequest(
            f"a pattern may repeat a part at most {MOST_REPEATS} times in all",
            param="response_format",
        )


def _parsed(grammar: Grammar) -> Any:
    try:
        return json.loads(grammar.value or "{}")
    except (ValueError, RecursionError) as exc:
        raise InvalidRequest("the schema is not JSON", param="response_format") from exc


def _patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for item in schema:
            yield from _patterns(item)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "pattern" and isinstance(value, str):
                yield value
            yield from _patterns(value)


def _is_large(pattern: str) -> bool:
    """Whether repeats within repeats, if that is what they are, come to too many."""
    product = 1
    for least, most in _REPEATS.findall(pattern):
        product *= max(int(most or least or 1), 1)
    return product > MOST_REPEATS


def _loosened(schema: Any, largest: float) -> Any:
    """The schema less its bounds that are larger, which are left to the validation of the
    finished text.
    """
    if isinstance(schema, list):
        return [_loosened(item, largest) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value if key in ("const", "enum") else _loosened(value, largest)
        for key, value in schema.items()
        if not (_is_bound(key, value) and value > largest)
    }


def _largest(bounds: Sequence[float]) -> float:
    """The largest bound that is kept, where all up to it come to no more than MOST_BOUNDS."""
    totals = accumulate(bounds)
    dropped = (bound for bound, total in zip(bounds, totals, strict=True) if total > MOST_BOUNDS)
    return min(MOST_BOUND, next(dropped, MOST_BOUND + 1) - 1)


def _bounds(schema: Any) -> Iterator[float]:
    if isinstance(schema, list):
        for item in schema:
            yield from _bounds(item)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if _is_bound(key, value):
                yield value
            yield from _bounds(value)


def _is_bound(key: str, value: Any) -> bool:
    return key in _BOUNDS and isinstance(value, int | float)
