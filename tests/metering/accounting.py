"""A node whose clock, meter and processor a test turns by hand."""

from canteen.core.footprint import Charge, Counted
from canteen.core.units import Grade, Quantity, exact
from canteen.metering.attribution import StepCost
from canteen.metering.meter import Reading
from canteen.metering.node import Accounts, Node


class CountingMeter:
    """Counts what a test says was used."""

    name = "counting"
    source: str = "a test"
    boundary: Counted = "it"
    grade: Grade = "A"
    joule: Quantity = exact(1, "J")

    def __init__(self) -> None:
        self.energy_uj = 0
        self.gap_uj = 0

    def read(self, cpu_s: float) -> Reading:
        return Reading(self.energy_uj, self.gap_uj)


class Bench:
    """A node and what it is attached to."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.meter = CountingMeter()
        self.node = Node(self.meter, lambda: self.now_s, lambda: 0.0)

    def spend(self, energy_uj: int, seconds: float = 1.0) -> None:
        """Time passes, and energy with it."""
        self.meter.energy_uj += energy_uj
        self.now_s += seconds

    def accounts(self) -> Accounts:
        """As of now, where the node does not wait for a step."""
        self.node.tick()
        return self.node.accounts()


def energy_uj(charges: list[Charge]) -> list[int]:
    """Of each."""
    return [charge.energy_uj for charge in charges]


BY_TOKENS = StepCost()
