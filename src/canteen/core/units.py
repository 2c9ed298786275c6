"""Uncertain quantities with units, boundaries and provenance, and the algebra that keeps all four.

A Quantity is the P5, P50 and P95 of a lognormal. The rules of the algebra are in
docs/methodology/uncertainty.md.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from canteen.core.errors import CanteenError

Grade = Literal["A", "B", "C", "D"]

# How many standard deviations of the logarithm lie between the median and P95.
_SIGMAS = 1.6448536269514722

_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_HOUR_S = 3600.0
# Symbol -> (what it is in base units, its dimensions); all but the binary and the plain ones of
# the second row take the prefixes.
_PREFIXED: Mapping[str, tuple[float, Mapping[str, int]]] = {
    "J": (1.0, {"energy": 1}),
    "Wh": (_HOUR_S, {"energy": 1}),
    "W": (1.0, {"energy": 1, "time": -1}),
    "s": (1.0, {"time": 1}),
    "L": (1.0, {"volume": 1}),
    "g": (1.0, {"mass": 1}),
    "B": (1.0, {"data": 1}),
    "FLOP": (1.0, {"flop": 1}),
    "token": (1.0, {"token": 1}),
}
_PLAIN: Mapping[str, tuple[float, Mapping[str, int]]] = {
    "1": (1.0, {}),
    "h": (_HOUR_S, {"time": 1}),
    "day": (24 * _HOUR_S, {"time": 1}),
    "year": (8766 * _HOUR_S, {"time": 1}),
    "t": (1e6, {"mass": 1}),
    "KiB": (2.0**10, {"data": 1}),
    "MiB": (2.0**20, {"data": 1}),
    "GiB": (2.0**30, {"data": 1}),
    "USD": (1.0, {"money": 1}),
    "request": (1.0, {"request": 1}),
}


class UnitMismatch(CanteenError):
    """Two figures that cannot be added or compared: their units or boundaries differ."""

    code = "unit_mismatch"


@dataclass(frozen=True, slots=True)
class Boundary:
    """What a physical figure counts; two may be added or compared only when all four agree.

    `energy`: accelerator boards, the whole server at its plug, or that times PUE. `water`:
    evaporated on site, or for making the power. `time`: `active+idle` has a share of idle.
    """

    energy: Literal["gpu", "it", "facility", ""] = ""
    water: Literal["site", "source", "lifecycle", ""] = ""
    carbon: Literal["operational", "embodied", ""] = ""
    time: Literal["active", "active+idle", ""] = ""

    def __str__(self) -> str:
        tags = (self.energy, self.water, self.carbon, self.time)
        return " ".join(tag for tag in tags if tag) or "none"


NO_BOUNDARY = Boundary()


@dataclass(frozen=True, slots=True)
class Input:
    """A number that a result rests on. `variance` is its part of the result's log-variance."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    source: str
    as_of: str
    method: str = "factor"
    variance: float = 0.0


@dataclass(frozen=True, slots=True)
class Quantity:
    """An uncertain figure: its median, and its P5 and P95. `low == high` is exact.

    Operators keep unit, boundary, grade (the worst) and provenance. `*` takes tags from both
    sides and refuses two that contradict; what changes a boundary says so with `bounded`.
    """

    central: float
    low: float
    high: float
    unit: str = "1"
    grade: Grade = "A"
    boundary: Boundary = NO_BOUNDARY
    inputs: tuple[Input, ...] = ()

    def __post_init__(self) -> None:
        values = (self.low, self.central, self.high)
        if not all(math.isfinite(value) and value >= 0 for value in values):
            raise ValueError(f"a quantity is finite and not negative: {values}")
        if not self.low <= self.central <= self.high:
            raise ValueError(f"low, central and high are in order: {values}")
        if self.low == 0 < self.high:
            raise ValueError("a lognormal has no zero; only an exact quantity may be 0")
        _scale_and_dimensions(self.unit)

    def __add__(self, other: "Quantity") -> "Quantity":
        """The sum of two independent parts."""
        return total((self, other))

    def __mul__(self, other: "Quantity | float") -> "Quantity":
        """The product of two independent figures, or of a figure and an exact number."""
        if not isinstance(other, Quantity):
            return self._scaled(other)
        return _product(self, other, other.central, other._sigmas, _times(self.unit, other.unit, 1))

    __rmul__ = __mul__

    def __truediv__(self, other: "Quantity | float") -> "Quantity":
        """The quotient of two independent figures; the divisor's sides swap."""
        if not isinstance(other, Quantity):
            return self._scaled(1 / other)
        down, up = other._sigmas
        inverse = 1 / other.central
        return _product(self, other, inverse, (up, down), _times(self.unit, other.unit, -1))

    def ratio(self, other: "Quantity") -> "Quantity":
        """How many times `other` it is; raises UnitMismatch across units or boundaries."""
        _check_alike(self, other)
        plain = replace(self, boundary=NO_BOUNDARY)
        return (plain / replace(other.to(self.unit), boundary=NO_BOUNDARY)).to("1")

    def to(self, unit: str) -> "Quantity":
        """The same in another unit; raises UnitMismatch where that is impossible."""
        if unit == self.unit:
            return self
        factor = conversion(self.unit, unit)
        return replace(self._scaled(factor), unit=unit)

    def bounded(self, boundary: Boundary) -> "Quantity":
        """The same figure as the count of another boundary, which its caller answers for."""
        return replace(self, boundary=boundary)

    @property
    def _sigmas(self) -> tuple[float, float]:
        """Standard deviations of the logarithm, below and above the median."""
        if self.central == 0:
            return 0.0, 0.0
        down = math.log(self.central / self.low) / _SIGMAS
        return down, math.log(self.high / self.central) / _SIGMAS

    def _scaled(self, factor: float) -> "Quantity":
        return Quantity(
            self.central * factor,
            self.low * factor,
            self.high * factor,
            self.unit,
            self.grade,
            self.boundary,
            self.inputs,
        )


def exact(value: float, unit: str = "1", boundary: Boundary = NO_BOUNDARY) -> Quantity:
    """A number that is known, or decided."""
    return Quantity(value, value, value, unit, boundary=boundary)


def total(parts: "tuple[Quantity, ...]") -> Quantity:
    """The sum of independent parts: medians add, deviations in quadrature.

    Where parts share a factor, sum first and apply it once. Raises UnitMismatch, and ValueError
    for no parts.
    """
    if not parts:
        raise ValueError("a sum has one part at least")
    first = parts[0]
    for part in parts[1:]:
        _check_alike(first, part)
    alike = [part.to(first.unit) for part in parts]
    central = math.fsum(part.central for part in alike)
    down = math.hypot(*(part.central - part.low for part in alike))
    # By rounding alone could a sum of very wide parts be lower than all their lows together.
    lowest = math.fsum(part.low for part in alike)
    up = math.hypot(*(part.high - part.central for part in alike))
    inputs = tuple(
        replace(one, variance=one.variance * (part.central / central) ** 2)
        for part in alike
        if central
        for one in part.inputs
    )
    return Quantity(
        central,
        max(central - down, lowest),
        central + up,
        first.unit,
        max(part.grade for part in alike),
        first.boundary,
        _merged(inputs),
    )


def shares_of_variance(quantity: Quantity) -> list[tuple[Input, float]]:
    """The inputs with their shares of the log-variance, the largest first; they add up to 1
    where there is any."""
    whole = math.fsum(one.variance for one in quantity.inputs) or 1.0
    ranked = sorted(quantity.inputs, key=lambda one: -one.variance)
    return [(one, one.variance / whole) for one in ranked]


def sourced(told: Input, grade: Grade = "C", boundary: Boundary = NO_BOUNDARY) -> Quantity:
    """The figure that an input is, by itself."""
    plain = Quantity(told.value, told.low, told.high, told.unit, grade, boundary)
    down, up = plain._sigmas
    return replace(plain, inputs=(replace(told, variance=(down**2 + up**2) / 2),))


@cache
def conversion(unit: str, other: str) -> float:
    """What one `unit` is in `other`; raises UnitMismatch."""
    scale, dimensions = _scale_and_dimensions(unit)
    other_scale, other_dimensions = _scale_and_dimensions(other)
    if dimensions != other_dimensions:
        raise UnitMismatch(f"{unit} cannot be told in {other}")
    return scale / other_scale


def _product(
    one: Quantity, other: Quantity, factor: float, sigmas: tuple[float, float], unit: str
) -> Quantity:
    central = one.central * factor
    down = math.hypot(one._sigmas[0], sigmas[0])
    up = math.hypot(one._sigmas[1], sigmas[1])
    return Quantity(
        central,
        min(central * math.exp(-_SIGMAS * down), central),
        max(central * math.exp(_SIGMAS * up), central),
        unit,
        max(one.grade, other.grade),
        _joined(one.boundary, other.boundary),
        _merged(one.inputs + other.inputs),
    )


def _joined(one: Boundary, other: Boundary) -> Boundary:
    tags = {}
    for name in ("energy", "water", "carbon", "time"):
        ours, theirs = getattr(one, name), getattr(other, name)
        if ours and theirs and ours != theirs:
            raise UnitMismatch(f"the boundaries {ours} and {theirs} do not go together")
        tags[name] = ours or theirs
    return Boundary(**tags)


def _merged(inputs: tuple[Input, ...]) -> tuple[Input, ...]:
    """Each input once, its variances added."""
    merged: dict[tuple[str, float, str], Input] = {}
    for one in inputs:
        key = (one.name, one.value, one.source)
        known = merged.get(key)
        merged[key] = replace(one, variance=one.variance + (known.variance if known else 0.0))
    return tuple(merged.values())


def _check_alike(one: Quantity, other: Quantity) -> None:
    conversion(other.unit, one.unit)
    if one.boundary != other.boundary:
        raise UnitMismatch(
            f"a figure counted as '{one.boundary}' cannot be added to or compared with one "
            f"counted as '{other.boundary}'"
        )


def _times(unit: str, other: str, sign: int) -> str:
    """The unit of a product (`sign` 1) or quotient (-1), equal symbols cancelled."""
    powers = dict(_powers(unit))
    for symbol, power in _powers(other):
        powers[symbol] = powers.get(symbol, 0) + sign * power
    above = [symbol for symbol, power in powers.items() for _ in range(power)]
    below = [symbol for symbol, power in powers.items() for _ in range(-power)]
    return "/".join(["*".join(above) or "1", *below])


@cache
def _powers(unit: str) -> tuple[tuple[str, int], ...]:
    """Symbols of a unit like `L/kWh` with their powers."""
    above, *below = unit.split("/")
    powers: dict[str, int] = {}
    for symbol in above.split("*"):
        powers[symbol] = powers.get(symbol, 0) + 1
    for symbol in below:
        powers[symbol] = powers.get(symbol, 0) - 1
    return tuple((symbol, power) for symbol, power in powers.items() if symbol != "1" and power)


@cache
def _scale_and_dimensions(unit: str) -> tuple[float, tuple[tuple[str, int], ...]]:
    scale, dimensions = 1.0, dict[str, int]()
    for symbol, power in _powers(unit):
        one, parts = _symbol(symbol)
        scale *= one**power
        for name, exponent in parts.items():
            dimensions[name] = dimensions.get(name, 0) + power * exponent
    return scale, tuple(sorted((name, power) for name, power in dimensions.items() if power))


def _symbol(symbol: str) -> tuple[float, Mapping[str, int]]:
    if symbol in _PLAIN:
        return _PLAIN[symbol]
    for prefix, factor in _PREFIXES.items():
        if symbol.startswith(prefix) and symbol[len(prefix) :] in _PREFIXED:
            one, dimensions = _PREFIXED[symbol[len(prefix) :]]
            return one * factor, dimensions
    raise ValueError(f"'{symbol}' is no unit")
