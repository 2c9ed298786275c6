"""Whose deferred requests are not asked now, since what was asked for them was refused."""

import time
from collections.abc import Callable, Mapping

# A shorter wait is for others of the caller's to end: then fewer at once are asked, and after a
# while more again.
SHORT_S = 2.0
_LIMITED_S = 30.0
LEAST_S = 1.0


class Held:
    """Models that are not asked for a while, and callers of whom few are asked at once, or none."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._models: dict[str, float] = {}
        self._callers: dict[str, tuple[int, float]] = {}

    def hold_model(self, model: str, pause_s: float) -> None:
        """Ask nothing of a model for so long."""
        self._models[model] = self._clock() + pause_s

    def limit_caller(self, caller_id: str, num_running: int, pause_s: float) -> None:
        """Ask no more of a caller's at once than run already; or none for so long, where none does
        or more than that has to end."""
        is_short = pause_s <= SHORT_S and num_running > 0
        most, for_s = (num_running, _LIMITED_S) if is_short else (0, max(pause_s, LEAST_S))
        if most <= self.callers().get(caller_id, most):
            self._callers[caller_id] = most, self._clock() + for_s

    def models(self) -> list[str]:
        """The models that are not asked now."""
        now_s = self._clock()
        self._models = {name: end_s for name, end_s in self._models.items() if end_s > now_s}
        return list(self._models)

    def callers(self) -> Mapping[str, int]:
        """How many at once are asked of the callers of whom not all are."""
        now_s = self._clock()
        self._callers = {name: told for name, told in self._callers.items() if told[1] > now_s}
        return {name: most for name, (most, _) in self._callers.items()}
