"""Fields of our own requests, as pydantic has them."""

import dataclasses
from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, Field, TypeAdapter

from canteen.api.wire import WHOLE, expecting

_BOUNDS = {"least": "minimum", "most": "maximum"}


def fields_of(asked: type[Any], *, leave_out: str = "") -> dict[str, Any]:
    """The fields of a dataclass made with `asked`, for `create_model`. Their limits are told
    here, and checked by the request itself."""
    hints = get_type_hints(asked)
    return {
        one.name: (_kind(hints[one.name], one.metadata), _field(one))
        for one in dataclasses.fields(asked)
        if one.name != leave_out
    }


def _kind(hint: Any, limits: Any) -> Any:
    if "choices" in limits:
        return Literal[limits["choices"]] | None
    if "expected" in limits:
        return Annotated[hint, expecting(limits["expected"])]
    return Annotated[hint, WHOLE] if int in (hint, *get_args(hint)) else _lax(hint)


def _lax(hint: Any) -> Any:
    """A type in which JSON's objects and lists stand for dataclasses and tuples, at any depth."""
    inner = tuple(map(_lax, get_args(hint)))
    if dataclasses.is_dataclass(hint):
        return _made_from(hint, dict, TypeAdapter(hint).validate_python)
    if get_origin(hint) is tuple:
        return _made_from(tuple.__class_getitem__(inner), list, tuple)
    if isinstance(hint, UnionType):
        return Union[inner]  # noqa: UP007 - it is made of what there is
    return hint


def _made_from(hint: Any, form: type, make: Callable[[Any], Any]) -> Any:
    return Annotated[
        hint, BeforeValidator(lambda given: make(given) if isinstance(given, form) else given)
    ]


def _field(one: "dataclasses.Field[Any]") -> Any:
    bounds = {told: one.metadata[ours] for ours, told in _BOUNDS.items() if ours in one.metadata}
    return Field(one.default, description=one.metadata["meaning"], json_schema_extra=bounds)
