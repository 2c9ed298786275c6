"""What a meter is: something that counts energy and never goes back."""

from typing import NamedTuple, Protocol

from canteen.core.footprint import Counted
from canteen.core.units import Grade, Quantity


class Reading(NamedTuple):
    """A meter's count since it began. `gap_uj` is how much of it fills, by estimate, a time in
    which the counter failed; it belongs to nobody's work. `boards_uj` is how much of it boards
    that compute took, 0 where none is counted by itself."""

    energy_uj: int
    gap_uj: int = 0
    boards_uj: int = 0


class Meter(Protocol):
    """Counts the energy of this machine, or of the part that it can see.

    `source` says in a few words where the count comes from, `boundary` what it is of, and `grade`
    how good it is in itself: A where a counter is read. `joule` is what one counted joule is at
    the server's plug, with uncertainty, grade and provenance. All may change while it counts but
    the boundary, so that counts always add up.
    """

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def boundary(self) -> Counted: ...

    @property
    def grade(self) -> Grade: ...

    @property
    def joule(self) -> Quantity: ...

    def read(self, cpu_s: float) -> Reading:
        """The count now; never less than before. `cpu_s` is all processor time that the
        gateway and its workers have used so far, from which a model makes energy."""
