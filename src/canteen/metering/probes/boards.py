"""The meter of a machine that computes on accelerator boards: all of it and theirs, as one."""

from canteen.core.footprint import Counted
from canteen.core.units import Grade, Quantity
from canteen.metering.meter import Meter, Reading


class WithBoards:
    """Adds the count of the boards to that of the machine, which knows nothing of them.

    The joules of the boards are told as those that the machine's meter would have counted for them,
    so that all the node's microjoules are of one kind.
    """

    def __init__(self, machine: Meter, boards: Meter) -> None:
        self._machine = machine
        self._boards = boards
        # What one of the boards' is of the machine's, at the plug.
        self._ratio = boards.joule.central / machine.joule.central
        self.boundary: Counted = "it" if machine.boundary == "it" else "cpu+gpu"

    @property
    def name(self) -> str:
        """Of both."""
        return f"{self._machine.name}+{self._boards.name}"

    @property
    def source(self) -> str:
        """Of both."""
        return f"{self._machine.source}; {self._boards.source}"

    @property
    def grade(self) -> Grade:
        """The worse one."""
        return max(self._machine.grade, self._boards.grade)

    @property
    def joule(self) -> Quantity:
        """The machine's, whose uncertainty is the larger."""
        return self._machine.joule

    def read(self, cpu_s: float) -> Reading:
        """Both counts."""
        machine, boards = self._machine.read(cpu_s), self._boards.read(cpu_s)
        boards_uj = int(boards.energy_uj * self._ratio)
        return Reading(
            machine.energy_uj + boards_uj,
            machine.gap_uj + int(boards.gap_uj * self._ratio),
            boards_uj,
        )
