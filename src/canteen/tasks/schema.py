"""JSON Schemas that a grammar can keep: refused up front, or checked at the end."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from canteen.core.errors import InvalidRequest

# What constrained decoding would ignore without a word, or cannot express (engines.md, section 5).
UNENFORCED = frozenset(
    {
        "uniqueItems",
        "multipleOf",
        "not",
        "if",
        "then",
        "else",
        "patternProperties",
        "propertyNames",
        "dependentSchemas",
        "dependentRequired",
        "dependencies",
        "contains",
        "minContains",
        "maxContains",
        "minProperties",
        "maxProperties",
        "unevaluatedItems",
        "unevaluatedProperties",
        "$dynamicRef",
        "$recursiveRef",
    }
)
# The drafts of JSON Schema itself; any other meta-schema would have to be fetched.
DRAFTS = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
)
LOOK_AROUND = ("(?=", "(?!", "(?<")
# Their values are maps from a free name to a schema.
NAMED = ("properties", "$defs", "definitions")
PLAIN = ("const", "enum", "default", "examples", "required")
MOST_DEPTH = 64
# A worker compiles a schema while its streams wait: at these limits for half a second. The time
# grows with the square of the optional properties of an object.
MOST_BYTES = 128 << 10
MOST_PROPERTIES = 1_000
MOST_OPTIONAL = 100
MOST_VALUES = 2_000
MOST_LEAST = 10_000
NOT_JSON = "it is not JSON"


class Schema:
    """A JSON Schema that was found enforceable; validates finished texts.

    Raises InvalidRequest, naming the keyword and its path, for a schema that is not.
    """

    def __init__(self, text: str, *, param: str = "response_format") -> None:
        if len(text) > MOST_BYTES:
            raise InvalidRequest(f"the schema is longer than {MOST_BYTES} bytes", param=param)
        schema = json.loads(text)
        check(schema, param)
        self._validator = validator(schema, param)

    def problem(self, text: str) -> str | None:
        """What keeps `text` from being a valid instance; None when it is one."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return NOT_JSON
        for error in self._validator.iter_errors(value):
            return str(error.message)
        return None


def validator(schema: Any, param: str) -> Any:
    """What validates instances; raises InvalidRequest for what is no JSON Schema."""
    import jsonschema_rs

    try:
        # Offline: a reference is never fetched, whatever it names.
        return jsonschema_rs.validator_for(schema, offline=True)
    except (ValueError, jsonschema_rs.ReferencingError) as exc:
        reason = str(exc).splitlines()[0]
        raise InvalidRequest(f"not a valid JSON Schema: {reason}", param=param) from exc


def check(schema: Any, param: str) -> None:
    """Raises InvalidRequest, with keyword and path, for what a grammar cannot enforce."""
    for path, problem in _problems(schema, "$", 0):
        raise InvalidRequest(f"schema not supported: {problem} at {path}", param=param)
    for what, most in (("properties", MOST_PROPERTIES), ("enum", MOST_VALUES)):
        if (number := sum(map(len, _all_of(what, schema)))) > most:
            raise InvalidRequest(
                f"schema too large: '{what}' has {number} entries over the whole schema, "
                f"and {most} are the most",
                param=param,
            )


def _all_of(keyword: str, schema: Any) -> Iterator[Any]:
    """The lists or maps that stand under a keyword, or under a name like it."""
    if isinstance(schema, list):
        for item in schema:
            yield from _all_of(keyword, item)
    elif isinstance(schema, Mapping):
        for key, value in schema.items():
            if key == keyword and isinstance(value, Mapping | list):
                yield value
            if key not in PLAIN:
                yield from _all_of(keyword, value)


def _problems(schema: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > MOST_DEPTH:
        yield path, f"nesting deeper than {MOST_DEPTH}"
    elif isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _problems(item, f"{path}[{index}]", depth + 1)
    elif isinstance(schema, Mapping):
        yield from _of_object(schema, path)
        yield from _of_values(schema, path)
        for key, value in schema.items():
            yield from _of_keyword(key, value, f"{path}.{key}", depth)
    elif not isinstance(schema, bool) and path == "$":
        yield path, "a schema that is no object"


def _of_object(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """What is written are the properties; no other name ever comes."""
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return
    for name in required:
        if isinstance(name, str) and name not in properties:
            yield f"{path}.required", f"'{name}', which is not in properties,"
    num_optional = len(properties) - len(required)
    if num_optional > MOST_OPTIONAL:
        most = f"{MOST_OPTIONAL} are the most for one object; name them in 'required'"
        yield path, f"{num_optional} optional properties ({most})"


def _of_values(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """No answer is as long, and none is nothing."""
    for key in ("minLength", "minItems"):
        least = schema.get(key)
        if isinstance(least, int | float) and least > MOST_LEAST:
            yield f"{path}.{key}", f"more than {MOST_LEAST}"
    if schema.get("enum") == []:
        yield f"{path}.enum", "an enum without values"


def _of_keyword(key: str, value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if key in UNENFORCED:
        yield path, f"the keyword '{key}' cannot be enforced"
    elif key == "allOf" and isinstance(value, list) and len(value) > 1:
        yield path, "'allOf' of several branches cannot be enforced"
    elif key == "$ref" and not str(value).startswith("#"):
        yield path, "a reference to elsewhere; put it under $defs"
    elif key == "$schema" and str(value).rstrip("#") not in DRAFTS:
        yield path, "a meta-schema that is no draft of JSON Schema"
    elif key == "pattern" and any(mark in str(value) for mark in LOOK_AROUND):
        yield path, "a pattern that looks around cannot be enforced"
    elif key in NAMED and not isinstance(value, Mapping):
        yield path, "what must be an object"
    elif key in NAMED:
        for name, inner in value.items():
            yield from _problems(inner, f"{path}.{name}", depth + 1)
    elif key not in PLAIN and isinstance(value, Mapping | list):
        yield from _problems(value, path, depth + 1)
