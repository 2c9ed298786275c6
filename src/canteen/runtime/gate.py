"""The gate before a model: who may run, who waits and for how long, who is sent away at once."""

import asyncio
import heapq
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from canteen.core.errors import CanteenError, DeadlineExceeded, Overloaded, RateLimited
from canteen.core.generation import Request
from canteen.runtime.fairness import Turns
from canteen.runtime.pace import Pace
from canteen.runtime.ticket import Ticket, ticket_for

LONGEST_RETRY_AFTER_S = 60.0
# What a refused caller is told before anything was measured.
UNKNOWN_WAIT_S = 1.0
# So that those who were refused together do not come back together.
JITTER = 0.2
# Of the time to a deadline so much may be planned for: a prediction is not a promise.
HEADROOM = 0.8
# Who repeats a request finds the queue this much shorter, so that a storm of retries starves.
RETRIES_SHARE = 0.5
# Of the places so many are kept from batch work, so that a chat need not wait for its end.
PLACES_PER_RESERVED = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a queue: requests, tokens of prompts and answers, seconds of predicted wait."""

    max_requests: int
    max_tokens: float
    max_wait_s: float


class Gate:
    """Lets in `capacity` sequences at a time; the rest wait in a bounded queue in which callers
    take turns (see `fairness`).

    The wait is predicted from the work ahead and the measured pace. Who would wait too long, or
    beyond its deadline, is refused at once and told that wait; who reaches its deadline in the
    queue leaves it without having cost anything.
    """

    def __init__(
        self,
        capacity: int,
        limits: Limits,
        on_admitted: Callable[[str], object] = lambda request_id: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.capacity = capacity
        self.num_running = 0
        self.pace = Pace()
        self._limits = limits
        self._on_admitted = on_admitted
        self._clock = clock
        self._turns = Turns()
        self._running: set[Ticket] = set()

    @property
    def num_waiting(self) -> int:
        """Requests in the queue."""
        return self._turns.num_waiting

    @property
    def oldest_wait_s(self) -> float:
        """How long the first of those that wait has waited; 0 where nobody does."""
        now_s = self._clock()
        return max((now_s - ticket.arrived_s for ticket in self._turns), default=0.0)

    @asynccontextmanager
    async def enter(self, request: Request) -> AsyncIterator[tuple[Ticket, float]]:
        """Wait for a turn; gives the ticket, to note the answer on, and the seconds waited.

        Raises Overloaded, RateLimited or DeadlineExceeded.
        """
        ticket = ticket_for(request, self.pace, self._clock)
        await self._wait(ticket)
        try:
            yield ticket, self._clock() - ticket.arrived_s
        finally:
            self._leave(ticket)

    def resize(self, capacity: int) -> None:
        """Let in so many from now on; who is in stays."""
        self.capacity = capacity
        self._let_in()

    def predicted_wait_s(self, ticket: Ticket) -> float:
        """Seconds until a newcomer would run: the work ahead, dealt out to the places."""
        free_s = [0.0] * (self.capacity - self.num_running)
        for running in self._running:
            free_s += [running.remaining_s(self.pace)] * self._num_places(running)
        heapq.heapify(free_s)
        for ahead in self._turns.ahead_of(ticket):
            service_s = self.pace.service_s(ahead.work)
            for _ in range(self._num_places(ahead)):
                heapq.heapreplace(free_s, free_s[0] + service_s)
        return free_s[0]

    async def _wait(self, ticket: Ticket) -> None:
        if ticket.deadline_s is not None and ticket.deadline_s <= ticket.arrived_s:
            raise DeadlineExceeded("the deadline had passed when the request came")
        if not self.num_waiting and self._has_room(ticket):
            self._start(ticket)
            return
        self._check_queue(ticket)
        loop = asyncio.get_running_loop()
        turn = ticket.turn = loop.create_future()
        self._turns.push(ticket)
        self._let_in()
        timer = None
        if ticket.deadline_s is not None:
            timer = loop.call_at(ticket.deadline_s, self._drop, ticket, _expired())
        try:
            await turn
        except asyncio.CancelledError:
            self._give_up(ticket)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _check_queue(self, ticket: Ticket) -> None:
        """Raises for a newcomer that had better not wait."""
        wait_s = self.predicted_wait_s(ticket)
        share = RETRIES_SHARE if ticket.is_retry else 1.0
        if wait_s > self._limits.max_wait_s * share:
            raise _overloaded(f"the wait would be about {wait_s:.0f} s", wait_s)
        if ticket.deadline_s is not None:
            left_s = ticket.deadline_s - ticket.arrived_s
            if wait_s + self.pace.service_s(ticket.work) > HEADROOM * left_s:
                raise _overloaded(
                    f"this cannot be answered within the {left_s:.1f} s that were given", wait_s
                )
        while self._is_full(ticket, share):
            self._make_room(ticket, wait_s)

    def _is_full(self, ticket: Ticket, share: float) -> bool:
        num_tokens = sum(waiting.work.num_tokens for waiting in self._turns)
        return (
            self.num_waiting >= self._limits.max_requests * share
            or num_tokens + ticket.work.num_tokens > self._limits.max_tokens * share
        )

    def _make_room(self, ticket: Ticket, wait_s: float) -> None:
        """Send away the last of who has most waiting, which may be the newcomer."""
        greediest = self._turns.longest()
        message = "maximum pending requests exceeded"
        if greediest is None or ticket.is_retry:
            raise _overloaded(message, wait_s)
        mine = self._turns.backlog(ticket)
        if self._turns.backlog(greediest) > mine + ticket.cost:
            self._drop(greediest, _rate_limited(self.predicted_wait_s(greediest)))
        elif any(other.caller_id != ticket.caller_id for other in self._turns):
            raise _rate_limited(wait_s)
        else:
            raise _overloaded(message, wait_s)

    def _let_in(self) -> None:
        """Start those whose turn it is, as far as there is room."""
        while (ticket := self._next()) is not None:
            if self._is_doomed(ticket):
                self._drop(ticket, _overloaded("too little of the time given was left", 0.0))
                continue
            assert ticket.turn is not None
            if ticket.turn.cancelled():
                self._turns.remove(ticket)
                continue
            self._start(ticket)
            ticket.turn.set_result(None)

    def _next(self) -> Ticket | None:
        for ticket in self._turns.heads():
            if self._has_room(ticket):
                return ticket
            if ticket.priority == "interactive":
                # Not overtaken, or one of many sequences would wait for ever.
                return None
        return None

    def _is_doomed(self, ticket: Ticket) -> bool:
        """Whether it would be read and written for nothing. The last in the queue gets a try:
        it takes no place from another, and the prediction may be what is wrong."""
        if ticket.deadline_s is None or self.num_waiting == 1:
            return False
        return self._clock() + self.pace.service_s(ticket.work) > ticket.deadline_s

    def _has_room(self, ticket: Ticket) -> bool:
        return self.num_running + self._num_places(ticket) <= self._most_places(ticket)

    def _num_places(self, ticket: Ticket) -> int:
        return min(ticket.num_seqs, self._most_places(ticket))

    def _most_places(self, ticket: Ticket) -> int:
        reserved = self.capacity // PLACES_PER_RESERVED if ticket.priority == "batch" else 0
        return self.capacity - reserved

    def _start(self, ticket: Ticket) -> None:
        self._turns.start(ticket)
        self._running.add(ticket)
        self.num_running += self._num_places(ticket)
        ticket.admitted_s = self._clock()
        self._on_admitted(ticket.request_id)

    def _leave(self, ticket: Ticket) -> None:
        ticket.teach(self.pace)
        self._turns.stop(ticket)
        self._running.discard(ticket)
        self.num_running -= self._num_places(ticket)
        self._let_in()

    def _drop(self, ticket: Ticket, error: CanteenError) -> None:
        """End the waiting of one, and not with its turn."""
        if not ticket.is_waiting:
            return
        self._turns.remove(ticket)
        if ticket.turn is not None and not ticket.turn.done():
            ticket.turn.set_exception(error)

    def _give_up(self, ticket: Ticket) -> None:
        """Its caller has gone, perhaps when its turn had just come."""
        if ticket.admitted_s is not None:
            self._leave(ticket)
        elif ticket.is_waiting:
            self._turns.remove(ticket)
            self._let_in()
        elif ticket.turn is not None and not ticket.turn.cancelled():
            # Dropped at the same moment: looked at, so that nobody warns that it was not.
            ticket.turn.exception()


def _expired() -> DeadlineExceeded:
    return DeadlineExceeded("the deadline passed in the queue")


def _overloaded(why: str, wait_s: float) -> Overloaded:
    return Overloaded(f"server busy, please try again: {why}", retry_after_s=_retry_after_s(wait_s))


def _rate_limited(wait_s: float) -> RateLimited:
    return RateLimited(
        "the queue is full and you hold the most of it; send less at a time",
        retry_after_s=_retry_after_s(wait_s),
    )


def _retry_after_s(wait_s: float) -> float:
    jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
    return min((wait_s or UNKNOWN_WAIT_S) * jitter, LONGEST_RETRY_AFTER_S)
