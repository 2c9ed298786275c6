"""What can be asked for: a field of a request with its meaning and its limits, for every door."""

import dataclasses
from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from canteen.core.errors import InvalidRequest

_TOLD = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    tuple: "a list",
    Mapping: "an object",
    NoneType: "nothing",
}


def asked(meaning: str, default: Any = None, **limits: Any) -> Any:
    """A field; `limits` are `least`, `most`, `choices`, what is `expected` where that is one of
    several forms, and the `flag` of the program where it is not the field's name."""
    return dataclasses.field(default=default, metadata={"meaning": meaning, **limits})


def check(request: Any) -> None:
    """Raises InvalidRequest, which names the field, for a value of another type or beyond its
    limits. A list is taken as the tuple that a field holds."""
    hints = _hints(request.__class__)
    for one in dataclasses.fields(request):
        value, hint = getattr(request, one.name), hints[one.name]
        if isinstance(value, list) and not _fits(value, hint):
            value = tuple(value)
            object.__setattr__(request, one.name, value)
        if not _fits(value, hint):
            raise InvalidRequest(
                f"{one.name} must be {_told(hint)}, not {_said(value)}", param=one.name
            )
        if value is not None:
            _check_limits(one.name, value, one.metadata)


_hints = cache(get_type_hints)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is what the type says; a whole number is a number, too. What has a type of
    ours reads its values itself."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if kind is Literal:
        return isinstance(value, type(inner[0]))
    if kind not in _TOLD:
        return True
    if kind in (tuple, list):
        is_one = isinstance(value, (list, tuple) if kind is list else tuple)
        return is_one and all(_fits(one, inner[0]) for one in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _told(hint: Any) -> str:
    """A type in words; of what may be left out, what it is if it is not."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return " or ".join(_told(one) for one in inner if one is not NoneType)
    if kind is Literal:
        return _TOLD[type(inner[0])]
    if kind in (tuple, list) and inner[0] is str:
        return "a list of texts"
    return _TOLD[kind]


def _said(value: Any) -> str:
    """A value as its sender wrote it, or what it is where that may be long."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    return f"'{value}'" if isinstance(value, str) and len(value) < 50 else _kind(value)


def _kind(value: Any) -> str:
    return next((told for kind, told in _TOLD.items() if isinstance(value, kind)), "an object")


def _check_limits(name: str, value: Any, limits: Any) -> None:
    if "choices" in limits and value not in limits["choices"]:
        raise InvalidRequest(
            f"{name} must be one of {', '.join(limits['choices'])}, not '{value}'", param=name
        )
    least, most = limits.get("least"), limits.get("most")
    # Written so that NaN, which compares with nothing, is refused.
    if least is not None and not least <= value <= most:
        raise InvalidRequest(f"{name} must be from {least:,} to {most:,}, not {value}", param=name)
