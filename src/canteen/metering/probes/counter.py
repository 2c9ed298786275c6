"""A hardware counter of energy, and whether it is alive: a file that exists proves nothing."""

import time
from collections.abc import Callable
from typing import Literal, Protocol

from canteen.core.footprint import Counted
from canteen.core.units import Quantity

State = Literal["alive", "absent", "forbidden", "frozen", "implausible"]
Dead = Literal["absent", "forbidden", "frozen", "implausible"]

SPIN_S = 0.25
# A processor of less or more than this, in watts, is none.
LEAST_W = 1.0
MOST_W = 1000.0


class Unavailable(Exception):
    """A counter cannot be used, and why."""

    def __init__(self, state: Dead, detail: str) -> None:
        super().__init__(detail)
        self.state = state
        self.detail = detail


class Counter(Protocol):
    """Counts energy in hardware. `most_w` is a power it cannot imply, `tick_s` the longest time
    between two of its updates; `source`, `boundary` and `joule` are as a Meter's."""

    name: str
    source: str
    boundary: Counted
    joule: Quantity
    most_w: float
    tick_s: float

    def read_uj(self) -> int:
        """The count in microjoules, wraps undone; raises Unavailable."""


def check_alive(
    counter: Counter,
    spin: Callable[[], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Raise Unavailable unless the counter moves while the machine works, by a credible power.

    Guests of a hypervisor are shown counters that read 0 for ever.
    """
    began_s, before_uj = clock(), counter.read_uj()
    (spin or _spin)()
    moved_uj, took_s = counter.read_uj() - before_uj, clock() - began_s
    if not moved_uj:
        raise Unavailable("frozen", "it does not move while a processor is busy")
    power_w = moved_uj / 1e6 / took_s
    if not LEAST_W <= power_w <= counter.most_w:
        raise Unavailable("implausible", f"it implies {power_w:.3g} W")


def _spin() -> None:
    until_s = time.monotonic() + SPIN_S
    while time.monotonic() < until_s:
        pass
