"""The inputs of a prompt: what is declared of one, and values that are held to it."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from canteen.core.errors import InvalidRequest

TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
}
# Larger whole numbers are no JSON that every program reads.
MOST_INTEGER = 1 << 63


@dataclass(frozen=True, slots=True)
class Input:
    """What is declared of an input; one that is not given is its default, or nothing."""

    type: str = "string"
    description: str = ""
    default: Any = None
    is_required: bool = True

    def described(self) -> dict[str, Any]:
        """As it is declared."""
        told = {"type": self.type, "description": self.description, "required": self.is_required}
        return told if self.default is None else {**told, "default": self.default}

    def checked(self, name: str, value: Any) -> Any:
        """The value as the type has it; raises InvalidRequest, which names the input."""
        value = int(value) if self.type == "integer" and _is_whole(value) else value
        if not _FITS[self.type](value):
            raise _wrong(name, f"must be {TYPES[self.type]}, not {_shown(value)}")
        if self.type in ("string", "array"):
            _check_text(name, value)
        return value

    def read(self, name: str, text: str) -> Any:
        """A value that is written as text; raises InvalidRequest, which names the input."""
        if self.type == "string":
            return self.checked(name, text)
        try:
            return self.checked(name, json.loads(text))
        except ValueError as exc:
            raise _wrong(name, f"must be {TYPES[self.type]}, not {_shown(text)}") from exc


def plain_input(inputs: Mapping[str, Input]) -> str | None:
    """The name of the input that a plain text can be, if there is one such."""
    required = [name for name, one in inputs.items() if one.is_required] or list(inputs)
    return required[0] if len(required) == 1 and inputs[required[0]].type == "string" else None


def checked(inputs: Mapping[str, Input], given: str | Mapping[str, Any]) -> dict[str, Any]:
    """A value for each input; raises InvalidRequest naming the input that is wrong or missing."""
    if isinstance(given, str):
        given = _of_text(inputs, given)
    for name in given:
        if name not in inputs:
            known = f"the inputs are {', '.join(inputs)}" if inputs else "there are no inputs"
            raise InvalidRequest(f"unknown input '{name}'; {known}", param=f"input.{name}")
    values = {}
    for name, one in inputs.items():
        value = given.get(name)
        if value is not None:
            values[name] = one.checked(name, value)
        elif one.is_required:
            raise _wrong(name, f"is missing; give {TYPES[one.type]}")
        else:
            values[name] = one.default
    return values


def _of_text(inputs: Mapping[str, Input], text: str) -> dict[str, Any]:
    name = plain_input(inputs)
    if name is None:
        raise InvalidRequest(
            f"this prompt does not take one plain text; give an object with {', '.join(inputs)}",
            param="input",
        )
    return {name: text}


def _check_text(name: str, value: Any) -> None:
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as exc:
        what = "valid Unicode" if isinstance(value, str) else "JSON in valid Unicode"
        raise _wrong(name, f"must be {what}") from exc
    if "\0" in text:
        raise _wrong(name, "is binary; send the text in it")


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return _is_integer(value)


def _is_integer(value: Any) -> bool:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return is_int and -MOST_INTEGER <= value < MOST_INTEGER


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


_FITS: dict[str, Callable[[Any], bool]] = {
    "string": _is_text,
    "integer": _is_integer,
    "number": _is_number,
    "boolean": _is_boolean,
    "array": _is_list,
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _wrong(name: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"input '{name}' {problem}", param=f"input.{name}")
