"""Who is next: callers take turns by the tokens they were given, and not by how much they ask.

A virtual token counter for each caller, as in Sheng et al., "Fairness in Serving Large Language
Models" (OSDI 2024): the caller that was given least goes first, and one that comes back after a
pause starts level with the others, so that nobody saves up a claim.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from canteen.core.generation import Priority
from canteen.runtime.ticket import Ticket


@dataclass(slots=True)
class Lane:
    """What one caller has waiting and running in one priority class."""

    given: float
    waiting: deque[Ticket] = field(default_factory=deque)
    num_running: int = 0


class Turns:
    """The lanes of all callers that wait or run now."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, Priority], Lane] = {}
        self.num_waiting = 0

    def __iter__(self) -> Iterator[Ticket]:
        """All that wait, in no order that means anything."""
        for lane in self._lanes.values():
            yield from lane.waiting

    def push(self, ticket: Ticket) -> None:
        """Let it wait behind what its caller has waiting already."""
        self._lane(ticket).waiting.append(ticket)
        self.num_waiting += 1
        ticket.is_waiting = True

    def heads(self) -> list[Ticket]:
        """The first of each caller, who was given least before who was given more."""
        lanes = sorted(
            (lane for lane in self._lanes.values() if lane.waiting), key=lambda lane: lane.given
        )
        return [lane.waiting[0] for lane in lanes]

    def remove(self, ticket: Ticket) -> None:
        """It waits no more, and will not run."""
        self._lane(ticket).waiting.remove(ticket)
        self.num_waiting -= 1
        ticket.is_waiting = False
        self._forget_idle(ticket)

    def start(self, ticket: Ticket) -> None:
        """A newcomer or a head runs; its caller is charged what it is expected to take."""
        lane = self._lane(ticket)
        if ticket.is_waiting:
            lane.waiting.popleft()
            self.num_waiting -= 1
            ticket.is_waiting = False
        lane.num_running += 1
        lane.given += ticket.cost

    def stop(self, ticket: Ticket) -> None:
        """It has ended; the charge is set right."""
        lane = self._lane(ticket)
        lane.num_running -= 1
        lane.given += ticket.actual_cost - ticket.cost
        self._forget_idle(ticket)

    def ahead_of(self, ticket: Ticket) -> list[Ticket]:
        """What would run before `ticket` if it came now."""
        mine = self._lanes.get(_key(ticket))
        start = self._level() if mine is None else mine.given
        start += sum(other.cost for other in mine.waiting) if mine else 0.0
        return [
            other
            for key, lane in self._lanes.items()
            for other in _before(lane, start, is_own=key == _key(ticket))
        ]

    def backlog(self, ticket: Ticket) -> float:
        """What the caller of `ticket` has waiting, in cost."""
        lane = self._lanes.get(_key(ticket))
        return sum(other.cost for other in lane.waiting) if lane else 0.0

    def longest(self) -> Ticket | None:
        """The last in the lane that has most waiting; None where nothing waits."""
        lanes = [lane for lane in self._lanes.values() if lane.waiting]
        if not lanes:
            return None
        return max(lanes, key=lambda lane: sum(ticket.cost for ticket in lane.waiting)).waiting[-1]

    def _lane(self, ticket: Ticket) -> Lane:
        lane = self._lanes.get(_key(ticket))
        if lane is None:
            lane = self._lanes[_key(ticket)] = Lane(self._level())
        return lane

    def _level(self) -> float:
        """Where a newcomer starts: with who was given least of those that are here."""
        return min((lane.given for lane in self._lanes.values()), default=0.0)

    def _forget_idle(self, ticket: Ticket) -> None:
        lane = self._lanes[_key(ticket)]
        if not lane.waiting and not lane.num_running:
            del self._lanes[_key(ticket)]


def _key(ticket: Ticket) -> tuple[str, Priority]:
    return ticket.caller_id, ticket.priority


def _before(lane: Lane, start: float, *, is_own: bool) -> Iterator[Ticket]:
    """Those of a lane whose turn comes before the counter of another reaches `start`."""
    given = lane.given
    for ticket in lane.waiting:
        if not is_own and given > start:
            return
        yield ticket
        given += ticket.cost
