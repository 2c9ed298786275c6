"""A circuit breaker: who fails too often, or begins too late, is left alone for a while."""

import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from canteen.core.errors import Overloaded

State = Literal["closed", "open", "half-open"]

# Of the last so many calls, not older than this, it may fail this share, once there are enough.
WINDOW = 20
WINDOW_S = 60.0
FEWEST = 5
MOST_FAILED = 0.5
# How long it stays open, twice as long after each probe that fails.
FIRST_OPEN_S = 5.0
LONGEST_OPEN_S = 120.0


class Breaker:
    """The state of one upstream. `closed`: calls go through. `open`: they are refused, and told
    when to come back. `half-open`: its time is over, and a cheap probe must succeed first.

    What is told is whether a call went well: an answer that was late to begin did not, whatever
    came of it. A caller who leaves, or a request that was wrong, is told to nobody.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=WINDOW)
        self._open_s = FIRST_OPEN_S
        self._until_s: float | None = None
        self._is_probing = False
        self.num_opened = 0

    @property
    def state(self) -> State:
        """How it stands now."""
        if self._until_s is None:
            return "closed"
        return "open" if self._clock() < self._until_s else "half-open"

    @property
    def left_s(self) -> float:
        """Seconds until a probe may be made; 0 where it is not open."""
        return 0.0 if self._until_s is None else max(0.0, self._until_s - self._clock())

    def check(self) -> None:
        """Raises Overloaded unless it is closed."""
        if self._until_s is not None:
            raise Overloaded(
                "the upstream failed too often and is left alone for a while; please try again",
                retry_after_s=self.left_s or 1.0,
                code="circuit_open",
            )

    def begins_probe(self) -> bool:
        """Whether now is the time for a probe, which the asker then makes and tells of."""
        if self.state != "half-open" or self._is_probing:
            return False
        self._is_probing = True
        return True

    def probed(self, *, is_well: bool) -> None:
        """A probe has ended: the circuit is closed, or stays open for twice as long."""
        self._is_probing = False
        if is_well:
            self._until_s, self._open_s = None, FIRST_OPEN_S
            self._outcomes.clear()
        else:
            self._open_s = min(2 * self._open_s, LONGEST_OPEN_S)
            self._open()

    def told(self, *, is_well: bool) -> None:
        """A call has ended."""
        now_s = self._clock()
        self._outcomes.append((now_s, is_well))
        recent = [well for when_s, well in self._outcomes if when_s > now_s - WINDOW_S]
        failed = recent.count(False)
        if self._until_s is None and len(recent) >= FEWEST and failed >= MOST_FAILED * len(recent):
            self._open()

    def _open(self) -> None:
        self._until_s = self._clock() + self._open_s
        self._outcomes.clear()
        self.num_opened += 1
