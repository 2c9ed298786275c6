"""What other Canteens did for a request, as their own receipts tell: read from an answer of theirs,
and kept in the ledger."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from canteen.core.footprint import Charge, Counted, Footprint, Part, Receipt
from canteen.core.generation import Usage
from canteen.core.units import Boundary, Grade, Quantity

_NAME = re.compile(r"[\x21-\x7e]{1,128}")
# No request takes so much of anything; what is more would be too much for the ledger's sums.
_MOST = 1 << 50
# Where a figure stands in a receipt, its unit there and here, and what it is a count of.
_FIGURES: Mapping[str, tuple[tuple[str, ...], str, str, Boundary]] = {
    "energy": (("energy_wh",), "Wh", "J", Boundary(energy="facility", time="active")),
    "water_site": (("water_ml", "site"), "mL", "L", Boundary(water="site", time="active")),
    "water_source": (("water_ml", "source"), "mL", "L", Boundary(water="source", time="active")),
    "carbon_operational": (("carbon_g",), "g", "g", Boundary(carbon="operational", time="active")),
    "carbon_embodied": (
        ("carbon_g", "embodied"),
        "g",
        "g",
        Boundary(carbon="embodied", time="active"),
    ),
    "cost": (("cost_usd",), "USD", "USD", Boundary(time="active")),
}
_MAY_LACK = ("carbon_embodied", "cost")
_BOUNDS = ("central", "low", "high")
# The ledger's columns: those that add up, what rows that can be added have in common, and what
# one is known by.
SUMMED = (
    *("read_tokens", "cached_read_tokens", "written_tokens", "read_uj", "written_uj"),
    *(f"{name}_{bound}" for name in _FIGURES for bound in _BOUNDS),
)
ALIKE = ("told_node", "boundary", "grade", "grades")
KEYS = ("receipt_id", "part")


def read(receipts: Sequence[Mapping[str, Any]], model: str) -> tuple[Part, ...]:
    """The parts of receipts that came with answers of `model`. None where one cannot be read, as
    it may be of something else or of a later release."""
    try:
        return tuple(_part(one, model) for told in receipts for one in told["nodes"] or (told,))
    except (KeyError, OverflowError, TypeError, ValueError):
        return ()


def rows(receipt: Receipt) -> list[dict[str, Any]]:
    """The parts of a receipt that were told, as the ledger keeps them."""
    return [
        {"receipt_id": receipt.id, "part": at, **_row(one)} for at, one in enumerate(receipt.told)
    ]


def part_of(row: Mapping[str, Any]) -> Part:
    """A part that was kept."""
    return Part(
        node=row["told_node"],
        receipt_id=row["told_id"],
        model=row["upstream"],
        usage=Usage(
            prompt_tokens=int(row["read_tokens"]),
            cached_tokens=int(row["cached_read_tokens"]),
            completion_tokens=int(row["written_tokens"]),
        ),
        charge=Charge(int(row["read_uj"]), int(row["written_uj"])),
        boundary=row["boundary"],
        grade=row["grade"],
        footprint=Footprint(
            **{
                name: _kept(row, name, grade)
                for name, grade in zip(_FIGURES, row["grades"], strict=True)
            }
        ),
    )


def priced(parts: Sequence[Part], cost: Quantity | None) -> tuple[Part, ...]:
    """The parts of one answer at a price that is set for it here; None: at what they say."""
    if cost is None or not parts:
        return tuple(parts)
    costs = (cost, *(None for _ in parts[1:]))
    return tuple(
        replace(part, footprint=replace(part.footprint, cost=one))
        for part, one in zip(parts, costs, strict=True)
    )


def _row(part: Part) -> dict[str, Any]:
    figures = {name: getattr(part.footprint, name) for name in _FIGURES}
    return {
        "told_id": part.receipt_id,
        "told_node": part.node,
        "upstream": part.model,
        "read_tokens": part.usage.prompt_tokens,
        "cached_read_tokens": part.usage.cached_tokens,
        "written_tokens": part.usage.completion_tokens,
        "read_uj": part.charge.prefill_uj,
        "written_uj": part.charge.decode_uj,
        "boundary": part.boundary,
        "grade": part.grade,
        "grades": "".join(one.grade if one else "-" for one in figures.values()),
        **{
            f"{name}_{bound}": one and getattr(one, bound)
            for name, one in figures.items()
            for bound in _BOUNDS
        },
    }


def _part(told: Mapping[str, Any], model: str) -> Part:
    counted, tokens = told["energy_uj"], told["tokens"]
    if counted["boundary"] not in get_args(Counted):
        raise ValueError("an energy of which nobody knows what it counts")
    return Part(
        node=_name(told["node"]) if told["node"] else "",
        receipt_id=_name(told["id"]),
        model=model,
        usage=Usage(
            prompt_tokens=_number(tokens["prompt"]),
            cached_tokens=_number(tokens["cached"]),
            completion_tokens=_number(tokens["completion"]),
        ),
        charge=Charge(_number(counted["prefill"]), _number(counted["decode"])),
        boundary=counted["boundary"],
        grade=_grade(counted["grade"]),
        footprint=Footprint(**{name: _figure(told, name) for name in _FIGURES}),
    )


def _figure(told: Mapping[str, Any], name: str) -> Any:
    """A Quantity, or None for what a receipt may lack."""
    path, unit, ours, boundary = _FIGURES[name]
    found: Any = told
    for key in path:
        found = found[key]
    if found is None and name in _MAY_LACK:
        return None
    if found["boundary"] != (boundary.carbon or boundary.water or boundary.energy or None):
        raise ValueError(f"{name} is a count of something else")
    central, low, high = (float(found[bound]) for bound in _BOUNDS)
    if high > _MOST:
        raise ValueError("more than there is")
    return Quantity(central, low, high, unit, _grade(found["grade"]), boundary).to(ours)


def _kept(row: Mapping[str, Any], name: str, grade: Any) -> Any:
    central, low, high = (row[f"{name}_{bound}"] for bound in _BOUNDS)
    if central is None:
        return None
    _, _, unit, boundary = _FIGURES[name]
    return Quantity(central, low, high, unit, grade, boundary)


def _name(told: Any) -> str:
    if not isinstance(told, str) or not _NAME.fullmatch(told):
        raise ValueError("no name of a node or receipt")
    return told


def _number(told: Any) -> int:
    if not isinstance(told, int) or not 0 <= told < _MOST:
        raise ValueError("no count")
    return told


def _grade(told: Any) -> Grade:
    if told not in get_args(Grade):
        raise ValueError("no grade")
    grade: Grade = told
    return grade
