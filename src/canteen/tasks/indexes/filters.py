"""What a search may ask of metadata: equality, one of several, ranges. Never SQL."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from canteen.core.errors import InvalidRequest

Kind = Literal["text", "number", "flag"]
Value = str | float | bool
Operator = Literal["eq", "in", "gt", "gte", "lt", "lte"]

RANGES = ("gt", "gte", "lt", "lte")
MOST_CONDITIONS = 32
MOST_VALUES = 1_000
MOST_FIELDS = 64


@dataclass(frozen=True, slots=True)
class Condition:
    """All that is asked of one field; `values` has one value but for `in`."""

    field: str
    operator: Operator
    values: tuple[Value, ...]

    @property
    def kind(self) -> Kind:
        kind = kind_of(self.values[0])
        assert kind is not None
        return kind


def parsed(given: Mapping[str, Any], param: str = "filter") -> tuple[Condition, ...]:
    """Conditions, all of which must hold, of `{"lang": "en", "year": {"gte": 2020, "lt": 2024},
    "kind": {"in": ["a", "b"]}}`. Raises InvalidRequest, naming the field."""
    if not isinstance(given, Mapping):
        raise InvalidRequest("give an object of fields and what they must be", param=param)
    conditions = [
        _condition(field, operator, value, f"{param}.{field}")
        for field, asked in given.items()
        for operator, value in _asked(asked, f"{param}.{field}")
    ]
    if len(conditions) > MOST_CONDITIONS:
        raise InvalidRequest(f"{MOST_CONDITIONS} conditions are the most", param=param)
    return tuple(conditions)


def _asked(asked: Any, param: str) -> list[tuple[str, Any]]:
    if not isinstance(asked, Mapping):
        return [("eq", asked)]
    if not asked:
        raise InvalidRequest("a condition without an operator", param=param)
    return list(asked.items())


def _condition(field: str, operator: str, value: Any, param: str) -> Condition:
    if operator not in ("eq", "in", *RANGES):
        raise InvalidRequest(
            f"operator '{operator}' is not known; use eq, in, gt, gte, lt or lte", param=param
        )
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    values = tuple(value) if operator == "in" and is_list else (value,)
    kinds = {kind_of(one) for one in values}
    if None in kinds or len(kinds) != 1 or len(values) > MOST_VALUES:
        most = f"from 1 to {MOST_VALUES} values of one kind" if operator == "in" else "one value"
        raise InvalidRequest(f"'{operator}' takes {most}: text, number or boolean", param=param)
    if operator in RANGES and kinds == {"flag"}:
        raise InvalidRequest("a boolean has no range", param=param)
    return Condition(field, operator, values)  # type: ignore[arg-type]


def kind_of(value: Any) -> Kind | None:
    """What kind of value can be filtered by; None for what is only kept."""
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int | float):
        return "number" if -(2**53) <= value <= 2**53 and math.isfinite(value) else None
    return "text" if isinstance(value, str) else None


def column(field: str, kind: Kind) -> str:
    """The name of a field's column: letters and digits, whatever the field is called."""
    return f"{kind}_{field.encode().hex()}"


def field(column_name: str) -> tuple[str, Kind] | None:
    """The field and kind of a column; None for a column that is none of metadata."""
    kind, _, name = column_name.partition("_")
    if kind not in ("text", "number", "flag") or not name:
        return None
    return bytes.fromhex(name).decode(), kind  # type: ignore[return-value]


def unknown(condition: Condition, fields: Mapping[str, set[Kind]]) -> InvalidRequest | None:
    """What is wrong with a condition in an index that has these fields; None if nothing is."""
    kinds = fields.get(condition.field)
    if kinds and condition.kind in kinds:
        return None
    param = f"filter.{condition.field}"
    if kinds:
        held = " and ".join(f"{kind}s" for kind in sorted(kinds))
        return InvalidRequest(f"field '{condition.field}' holds {held}", param=param)
    known = ", ".join(sorted(fields)[:20]) or "none"
    return InvalidRequest(
        f"no document has a field '{condition.field}' to filter by; known fields: {known}",
        param=param,
    )
