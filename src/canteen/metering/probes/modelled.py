"""Energy from processor time and the power of the processor, where no counter is to be had."""

import time
from collections.abc import Callable

from canteen.core.footprint import Counted
from canteen.core.units import Quantity
from canteen.metering.meter import Reading


class Modelled:
    """Idle power all the time, and for each busy thread its part of what is between idle and
    full power: the linear model (exponent 1) of docs/methodology/metering.md.

    Powers in watts, of the whole server; `joule` carries their uncertainty.
    """

    name = "modelled"
    boundary: Counted = "it"

    def __init__(
        self,
        idle_w: float,
        max_w: float,
        num_threads: int,
        joule: Quantity,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._idle_w = idle_w
        self._thread_w = (max_w - idle_w) / num_threads
        self._clock = clock
        self._began_s = clock()
        self.joule = joule
        self.grade = joule.grade
        self.source = f"modelled: {idle_w:.3g} W idle, {max_w:.3g} W busy, from processor time"

    def read(self, cpu_s: float) -> Reading:
        """The modelled energy so far."""
        elapsed_s = self._clock() - self._began_s
        return Reading(int(1e6 * (elapsed_s * self._idle_w + cpu_s * self._thread_w)))
