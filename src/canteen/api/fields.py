"""Fields of our own requests, as pydantic has them."""

import dataclasses
from typing import Annotated, Any, Literal, get_args, get_type_hints

from pydantic import Field

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
    return Annotated[hint, WHOLE] if int in (hint, *get_args(hint)) else hint


def _field(one: "dataclasses.Field[Any]") -> Any:
    bounds = {told: one.metadata[ours] for ours, told in _BOUNDS.items() if ours in one.metadata}
    # JSON has lists for tuples, and objects for dataclasses.
    strict = None if isinstance(one.default, str | int | float | None) else False
    return Field(
        one.default, description=one.metadata["meaning"], json_schema_extra=bounds, strict=strict
    )
