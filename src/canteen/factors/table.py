"""Tables of factors: TOML files in which every number has a value, a unit, a source and a date.

`[sources.KEY]` has `title`, `url` and `as_of`; `[units]` has the units of fields of plain
numbers; each `[[row]]` has a `name`, a `source` for its numbers, and fields. A number that is
uncertain, or has a unit or source of its own, is a table with `value` and, where they differ,
`low`, `high`, `unit`, `source`.
"""

import datetime
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.core.units import NO_BOUNDARY, Boundary, Grade, Input, Quantity, sourced


@dataclass(frozen=True, slots=True)
class Source:
    """Where a number is from; `as_of` is the day it was published, or valid."""

    title: str
    url: str
    as_of: datetime.date


@dataclass(frozen=True, slots=True)
class Row:
    """A named thing and what is known of it. All readers raise KeyError for an unknown field."""

    name: str
    fields: Mapping[str, Any]
    inputs: Mapping[str, Input]

    def quantity(
        self, field: str, grade: Grade = "C", boundary: Boundary = NO_BOUNDARY
    ) -> Quantity:
        """An uncertain number, with its source."""
        return sourced(self.inputs[field], grade, boundary)

    def count(self, field: str) -> int:
        """A whole number."""
        return int(self.inputs[field].value)

    def text(self, field: str) -> str:
        """A word."""
        return str(self.fields[field])

    def date(self, field: str) -> datetime.date | None:
        """A day, None where the row has none."""
        day: datetime.date | None = self.fields.get(field)
        return day


@dataclass(frozen=True, slots=True)
class Table:
    """A file of factors."""

    rows: tuple[Row, ...]
    sources: Mapping[str, Source]

    def quantities(self) -> Mapping[str, Quantity]:
        """By name, where each row is one number, its `figure`."""
        return {row.name: row.quantity("figure") for row in self.rows}


@cache
def load(subject: str) -> Table:
    """The table of a subject. Raises ValueError for a number without unit, source or date."""
    text = resources.files("canteen.factors").joinpath(f"{subject}.toml").read_text("utf-8")
    content = tomllib.loads(text)
    sources = {key: Source(**told) for key, told in content.get("sources", {}).items()}
    units = content.get("units", {})
    return Table(tuple(_row(row, sources, units) for row in content["row"]), sources)


def find(name: str, known: Iterable[str], what: str, param: str) -> str:
    """The known name that is meant, whatever its case; raises InvalidRequest with the nearest."""
    by_case = {one.lower(): one for one in known}
    if name.lower() in by_case:
        return by_case[name.lower()]
    near = difflib.get_close_matches(name.lower(), by_case, n=5, cutoff=0.4)
    hint = ", ".join(by_case[one] for one in near or sorted(by_case)[:12])
    raise InvalidRequest(f"no {what} '{name}' is known; near it: {hint}", param=param)


def _row(row: dict[str, Any], sources: Mapping[str, Source], units: Mapping[str, str]) -> Row:
    name = row["name"]
    inputs = {
        field: _input(_told(name, field), value, row.get("source", ""), sources, units.get(field))
        for field, value in row.items()
        if _is_number(value)
    }
    return Row(name, row, inputs)


def _told(name: str, field: str) -> str:
    return name if field == "figure" else f"{name}, {field}"


def _is_number(value: object) -> bool:
    if isinstance(value, dict):
        return "value" in value
    return isinstance(value, int | float) and not isinstance(value, bool)


def _input(
    name: str,
    told: Any,
    source_key: str,
    sources: Mapping[str, Source],
    unit: str | None,
) -> Input:
    number = told if isinstance(told, dict) else {"value": told}
    unit, source = number.get("unit", unit), sources.get(number.get("source", source_key))
    if unit is None or source is None:
        raise ValueError(f"'{name}' has no {'unit' if unit is None else 'source'}")
    value = float(number["value"])
    low, high = float(number.get("low", value)), float(number.get("high", value))
    return Input(name, value, low, high, unit, source.title, source.as_of.isoformat())
