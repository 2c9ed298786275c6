"""A counter as a meter: kept smooth between its ticks, and left for the model when it dies."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from canteen.core.footprint import Counted
from canteen.core.units import Grade, Quantity
from canteen.metering.meter import Meter, Reading
from canteen.metering.probes.counter import LEAST_W, Counter, Unavailable

logger = logging.getLogger(__name__)

# It is judged by a minute in which the service has used this much processor time.
JUDGED_AFTER_S = 60.0
WORKED_S = 0.2


class _Moment(NamedTuple):
    time_s: float
    cpu_s: float
    modelled_uj: int


class Watched:
    """Counts by the counter while it is alive, by the model while it is not.

    Between two ticks of a slow counter it goes on at the power of the last, for one tick at
    most, and never back. A counter that stands still for a minute of work, goes back, or moves
    by a power that it cannot have is dead: what the model says of that time fills the gap. It is
    believed again after a minute of work in which it moved by a credible power.

    The count stays the counter's, so that all of it adds up: the model's joules, which are at the
    plug, are told as those that the counter would have counted for them.
    """

    def __init__(
        self, counter: Counter, model: Meter, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._counter = counter
        self._model = model
        self._clock = clock
        self._is_alive = True
        # Joules at the plug of the model over those of the counter.
        self._ratio = counter.joule.central / model.joule.central
        # When the counter last moved, or was last judged.
        self._since = self._before = self._look(0.0)
        self._last_uj = counter.read_uj()
        self._shown_uj = self._counted_uj = self._gap_uj = self._regained_uj = 0
        self._power_w = 0.0

    @property
    def name(self) -> str:
        """Of what counts now."""
        return self._now.name

    @property
    def source(self) -> str:
        """Of what counts now."""
        return self._now.source

    @property
    def boundary(self) -> Counted:
        """The counter's, always."""
        return self._counter.boundary

    @property
    def grade(self) -> Grade:
        """A where it is counted, the model's where it is not."""
        return "A" if self._is_alive else self._model.grade

    @property
    def joule(self) -> Quantity:
        """Of what counts now: at the plug, for one that is told."""
        return self._counter.joule if self._is_alive else self._model.joule * self._ratio

    def read(self, cpu_s: float) -> Reading:
        """What was counted and estimated so far."""
        now = self._look(cpu_s)
        moved_uj = self._moved_uj()
        if self._is_alive:
            self._count(moved_uj, now)
        else:
            self._estimate(moved_uj, now)
        return Reading(self._shown_uj, self._gap_uj)

    @property
    def _now(self) -> Counter | Meter:
        return self._counter if self._is_alive else self._model

    def _look(self, cpu_s: float) -> _Moment:
        modelled_uj = self._model.read(cpu_s).energy_uj
        return _Moment(self._clock(), cpu_s, int(modelled_uj / self._ratio))

    def _moved_uj(self) -> int:
        last_uj = self._last_uj
        with suppress(Unavailable):
            self._last_uj = self._counter.read_uj()
        return self._last_uj - last_uj

    def _is_judged(self, now: _Moment) -> bool:
        return (
            now.time_s - self._since.time_s >= JUDGED_AFTER_S
            and now.cpu_s - self._since.cpu_s >= WORKED_S
        )

    def _is_credible(self, moved_uj: int) -> bool:
        """Whether it can have used so much since it last moved. A counter that was set back looks
        as if it had wrapped, and so as if it had moved by the rest of its range."""
        # Asked for anew: this thread may have waited between the last look and the counter.
        longest_s = self._clock() - self._since.time_s + self._counter.tick_s
        return 0 <= moved_uj <= 1e6 * self._counter.most_w * longest_s

    def _count(self, moved_uj: int, now: _Moment) -> None:
        is_frozen = not moved_uj and self._is_judged(now)
        if is_frozen or not self._is_credible(moved_uj):
            self._give_up(now)
            return
        tick_s = self._counter.tick_s
        if moved_uj:
            self._counted_uj += moved_uj
            self._power_w = moved_uj / 1e6 / max(now.time_s - self._since.time_s, tick_s)
            self._since = now
        beyond_s = min(now.time_s - self._since.time_s, tick_s)
        beyond_uj = int(1e6 * self._power_w * beyond_s)
        self._shown_uj = max(self._shown_uj, self._counted_uj + beyond_uj)

    def _give_up(self, now: _Moment) -> None:
        logger.warning(
            "an energy counter is dead; modelling", extra={"counter": self._counter.name}
        )
        modelled_uj = now.modelled_uj - self._since.modelled_uj
        gap_uj = max(0, self._counted_uj + modelled_uj - self._shown_uj)
        self._shown_uj += gap_uj
        self._gap_uj += gap_uj
        self._is_alive = False
        self._since = self._before = now
        self._regained_uj = 0

    def _estimate(self, moved_uj: int, now: _Moment) -> None:
        self._shown_uj += now.modelled_uj - self._before.modelled_uj
        self._before = now
        self._regained_uj += max(0, moved_uj)
        if not self._is_judged(now):
            return
        power_w = self._regained_uj / 1e6 / (now.time_s - self._since.time_s)
        if LEAST_W <= power_w <= self._counter.most_w:
            logger.warning("an energy counter moves again", extra={"counter": self._counter.name})
            self._is_alive = True
            self._counted_uj, self._power_w = self._shown_uj, 0.0
        self._since = now
        self._regained_uj = 0
