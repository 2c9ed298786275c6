"""A power that somebody has read off the plug, where nothing on the machine can."""

import time
from collections.abc import Callable

from canteen.core.footprint import Counted
from canteen.core.units import Quantity
from canteen.metering.meter import Reading


class Declared:
    """The same power in watts all the time, busy or not. `joule` should be of grade D."""

    name = "declared"
    boundary: Counted = "it"

    def __init__(
        self, power_w: float, joule: Quantity, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._power_w = power_w
        self._clock = clock
        self._began_s = clock()
        self.joule = joule
        self.grade = joule.grade
        self.source = f"declared: {power_w:.3g} W"

    def read(self, cpu_s: float) -> Reading:
        """The power times the time."""
        return Reading(int(1e6 * self._power_w * (self._clock() - self._began_s)))
