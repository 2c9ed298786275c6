"""A JSON Schema as a form: what a model is asked to fill in, and what is made of its answers."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from canteen.core.errors import InvalidRequest
from canteen.tasks.schema import NAMED, PLAIN, Schema, validator
from canteen.tasks.typed_fields import kind_of

PARAM = "schema"
# Bounds without which a small model goes on for ever.
MOST_ITEMS = 24
MOST_CHARACTERS = 120
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_INNER = ("items", "additionalProperties", "additionalItems")
# What says nothing of a part of a text, or is no part of a grammar.
_LEFT_OUT = ("minItems", "title", "description", "default", "examples", "$comment")

Branch = Mapping[str, Any]
Find = Callable[[str], Sequence[str]]


class Form:
    """A schema whose strings are to be found in a text; raises InvalidRequest for one that
    cannot be enforced."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema
        Schema(json.dumps(schema), param=PARAM)
        self.validator = validator(schema, PARAM)
        for reference in _references(schema):
            self._resolved(reference)
        if not any(branch.keys() & {"properties", "items"} for branch in self.root):
            raise InvalidRequest(
                "the schema must be an object with properties, or an array with items", param=PARAM
            )

    @property
    def root(self) -> list[Branch]:
        """What the whole value may be."""
        return list(self.branches(self.schema))

    def branches(self, schema: Any, seen: frozenset[str] = frozenset()) -> Iterator[Branch]:
        """The schemas that a value of `schema` may be of, without references."""
        if not isinstance(schema, Mapping):
            return
        yield schema
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            yield from self.branches(self._resolved(reference), seen | {reference})
        for key in ("anyOf", "oneOf", "allOf"):
            for one in schema.get(key, ()):
                yield from self.branches(one, seen)

    def of_property(self, of: Sequence[Branch], name: str) -> list[Branch]:
        """What a property may be; nothing where the schema does not name it."""
        named = (one.get("properties", {}) for one in of)
        return [each for one in named if name in one for each in self.branches(one[name])]

    def of_item(self, of: Sequence[Branch], place: int) -> list[Branch]:
        """What an item of an array may be."""
        return [each for one in of for each in self.branches(_item(one, place))]

    def asked(self, find: Find) -> dict[str, Any]:
        """The schema for a part of the text: anything may be missing there, and nothing goes on
        for ever. Strings of a format that patterns know are those that `find` gives of it."""
        asked: dict[str, Any] = self._asked(self.schema, find)
        return asked

    def _asked(self, schema: Any, find: Find) -> Any:
        if isinstance(schema, list):
            return [self._asked(one, find) for one in schema]
        if not isinstance(schema, Mapping):
            return schema
        made = {key: value for key, value in schema.items() if key not in _LEFT_OUT}
        for key in made.keys() & {*_LISTS, *_INNER}:
            made[key] = self._asked(made[key], find)
        for key in made.keys() & {*NAMED}:
            made[key] = {name: self._asked(one, find) for name, one in made[key].items()}
        if "properties" in made:
            made["properties"] = {n: _or_null(one) for n, one in made["properties"].items()}
            made |= {"required": list(made["properties"]), "additionalProperties": False}
        if made.get("type") == "array":
            made.setdefault("maxItems", max(MOST_ITEMS, schema.get("minItems", 0)))
        return self._string(made, find) if is_quoted(made) else made

    def _string(self, schema: dict[str, Any], find: Find) -> dict[str, Any]:
        kind = kind_of(str(schema.get("format", "")))
        if kind is not None:
            # Whether a format binds depends on the draft.
            draft = {key: self.schema[key] for key in ("$schema",) if key in self.schema}
            leaf = validator(draft | schema, PARAM)
            return _one_of([one for one in find(kind) if leaf.is_valid(one)])
        if "pattern" not in schema:
            most = max(MOST_CHARACTERS, schema.get("minLength", 0))
            schema.setdefault("maxLength", most)
        return schema

    def _resolved(self, reference: str) -> Any:
        if not reference.startswith("#/") and reference != "#":
            raise InvalidRequest(
                f"schema not supported: the reference '{reference}'; write it as #/$defs/NAME",
                param=PARAM,
            )
        found: Any = self.schema
        for name in reference.split("/")[1:]:
            key = unquote(name).replace("~1", "/").replace("~0", "~")
            found = found[int(key)] if isinstance(found, list) else found[key]
        return found


def is_quoted(schema: Branch) -> bool:
    """Whether a schema is of strings that are to be taken from the text."""
    kind = schema.get("type")
    is_string = kind == "string" or (isinstance(kind, list) and "string" in kind)
    return is_string and "enum" not in schema and "const" not in schema


def accepts_null(branch: Branch) -> bool:
    """Whether a schema says that null may stand there."""
    kind = branch.get("type")
    is_null = kind == "null" or (isinstance(kind, list) and "null" in kind)
    return is_null or None in branch.get("enum", ())


def _item(branch: Branch, place: int) -> Any:
    items = branch.get("items")
    first = branch.get("prefixItems", items if isinstance(items, list) else ())
    if place < len(first):
        return first[place]
    return branch.get("additionalItems") if isinstance(items, list) else items


def _or_null(schema: Any) -> Any:
    if schema == {"type": "null"}:
        return schema
    if isinstance(schema, dict) and "enum" in schema:
        return schema | {"enum": [*schema["enum"], None]} if "type" not in schema else _any(schema)
    return _any(schema)


def _any(schema: Any) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _one_of(quotes: Sequence[str]) -> dict[str, Any]:
    return {"enum": list(dict.fromkeys(quotes))} if quotes else {"type": "null"}


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for key, one in schema.items():
            if key not in PLAIN:
                yield from _references(one)
    elif isinstance(schema, list):
        for one in schema:
            yield from _references(one)
