"""The gate before a model: order, bounds, deadlines, leaving early, and what the refused hear."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import CanteenError, DeadlineExceeded, Overloaded, RateLimited
from canteen.core.generation import Chunk, GenerationRequest, Priority, SamplingParams, Usage
from canteen.runtime.gate import JITTER, Gate, Limits
from canteen.runtime.ticket import ticket_for

WIDE = Limits(100, 1e6, 300.0)
PREFILL_S, DECODE_S, NUM_TOKENS = 1.0, 0.5, 8
SERVICE_S = PREFILL_S + DECODE_S * (NUM_TOKENS - 1)


class Clock:
    """Stands still until told."""

    def __init__(self) -> None:
        # Far ahead of the clock of the loop, whose alarms for deadlines must not ring.
        self.now_s = 1e9

    def __call__(self) -> float:
        return self.now_s


def request(
    request_id: str = "r", caller_id: str = "one", priority: Priority = "interactive", n: int = 1
) -> GenerationRequest:
    return GenerationRequest(
        request_id,
        "echo",
        prompt="x" * 400,
        sampling=SamplingParams(max_tokens=NUM_TOKENS),
        caller_id=caller_id,
        priority=priority,
        n=n,
    )


@dataclass
class House:
    """A gate, those who came to it, and a door that is closed until `release`."""

    gate: Gate
    clock: Clock
    release: asyncio.Event = field(default_factory=asyncio.Event)
    entered: list[str] = field(default_factory=list)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def come(self, *requests: GenerationRequest) -> None:
        for one in requests:
            self.tasks[one.id] = asyncio.create_task(self._visit(one))
        await settle()

    async def leave(self) -> None:
        """Everybody is answered; what was refused has been looked at by the test."""
        self.release.set()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        assert (self.gate.num_running, self.gate.num_waiting) == (0, 0)

    def error(self, request_id: str) -> BaseException | None:
        task = self.tasks[request_id]
        return task.exception() if task.done() else None

    async def serve(self, one: GenerationRequest) -> None:
        """One that is answered whole, at the pace of this file."""
        async with self.gate.enter(one) as (ticket, _):
            self.clock.now_s += PREFILL_S
            ticket.see(Chunk("a", num_tokens=1))
            self.clock.now_s += SERVICE_S - PREFILL_S
            ticket.see(Chunk("b", num_tokens=NUM_TOKENS - 1))
            ticket.see(Chunk(usage=Usage(prompt_tokens=100, completion_tokens=NUM_TOKENS)))

    async def _visit(self, one: GenerationRequest) -> None:
        async with self.gate.enter(one):
            self.entered.append(one.id)
            await self.release.wait()


@asynccontextmanager
async def house(
    capacity: int, limits: Limits = WIDE, *, is_measured: bool = False
) -> AsyncIterator[House]:
    clock = Clock()
    made = House(Gate(capacity, limits, clock=clock), clock)
    if is_measured:
        await made.serve(request("measuring"))
    try:
        yield made
    finally:
        await made.leave()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def each(number: int, **changes: object) -> list[GenerationRequest]:
    return [replace(request(f"{n}"), **changes) for n in range(number)]  # type: ignore[arg-type]


async def test_those_of_one_caller_enter_in_the_order_they_came() -> None:
    async with house(2) as at:
        await at.come(*each(5))
        assert (at.gate.num_running, at.gate.num_waiting) == (2, 3)

    assert at.entered == ["0", "1", "2", "3", "4"]


async def test_a_full_queue_refuses_at_once_and_says_for_how_long() -> None:
    async with house(1, Limits(1, 1e6, 300.0), is_measured=True) as at:
        await at.come(*each(3))
        refused = at.error("2")

        assert isinstance(refused, Overloaded)
        assert "maximum pending requests exceeded" in refused.message
        # The one that runs and the one that waits come first.
        assert refused.retry_after_s == pytest.approx(2 * SERVICE_S, rel=JITTER + 0.01)


async def test_tokens_that_wait_are_bounded_too() -> None:
    async with house(1, Limits(100, 250, 300.0), is_measured=True) as at:
        await at.come(*each(4))

        assert at.gate.num_waiting == 2
        assert isinstance(at.error("3"), Overloaded)


async def test_a_wait_that_is_too_long_is_refused_before_it_begins() -> None:
    async with house(1, Limits(100, 1e6, 2.5 * SERVICE_S), is_measured=True) as at:
        await at.come(*each(5))

        assert at.gate.num_waiting == 2
        assert "the wait would be about" in str(at.error("3"))


async def test_what_cannot_be_answered_before_its_deadline_is_refused_at_the_door() -> None:
    async with house(1, is_measured=True) as at:
        await at.come(request("first"))
        short = replace(request("short"), deadline_s=at.clock() + 2 * SERVICE_S)
        long = replace(request("long"), deadline_s=at.clock() + 3 * SERVICE_S)
        await at.come(short, long)

        assert isinstance(at.error("short"), Overloaded)
        assert at.error("long") is None


async def test_a_free_place_is_given_whatever_the_prediction_says() -> None:
    async with house(1, is_measured=True) as at:
        await at.come(replace(request("hasty"), deadline_s=at.clock() + 0.01))

        assert at.entered == ["hasty"]


async def test_a_deadline_that_has_passed_is_refused_even_where_there_is_room() -> None:
    async with house(1) as at:
        await at.come(replace(request("late"), deadline_s=at.clock()))

        assert isinstance(at.error("late"), DeadlineExceeded)


async def test_what_expires_in_the_queue_leaves_it() -> None:
    async with house(1) as at:
        at.gate = Gate(1, Limits(10, 1e6, 300.0))
        soon_s = asyncio.get_running_loop().time() + 0.01
        await at.come(request("first"), replace(request("second"), deadline_s=soon_s))
        await asyncio.wait([at.tasks["second"]])

        assert isinstance(at.error("second"), DeadlineExceeded)
        assert at.gate.num_waiting == 0


async def test_what_comes_to_its_turn_too_late_is_not_begun() -> None:
    async with house(1, is_measured=True) as at:
        late = replace(request("late"), deadline_s=at.clock() + 3 * SERVICE_S)
        await at.come(request("first"), late, request("last"))
        at.clock.now_s += 2.5 * SERVICE_S
        await at.leave()

        assert isinstance(at.error("late"), Overloaded)
        assert at.entered == ["first", "last"]


async def test_one_who_leaves_the_queue_lets_the_next_in() -> None:
    async with house(1) as at:
        await at.come(*each(3))
        at.tasks["1"].cancel()
        await settle()
        assert at.gate.num_waiting == 1

    assert at.entered == ["0", "2"]


async def test_a_request_of_more_sequences_than_there_are_places_still_enters() -> None:
    async with house(4) as at:
        await at.come(request("wide", n=100))

        assert at.gate.num_running == 4


async def test_a_chat_does_not_wait_for_the_backlog_of_another_caller() -> None:
    async with house(1, is_measured=True) as at:
        bulk = [request(f"bulk {n}", "bulk") for n in range(20)]
        await at.come(*bulk, request("chat", "chat"))

    assert at.entered.index("chat") <= 2


async def test_the_wait_of_a_chat_is_predicted_without_the_backlog_of_another() -> None:
    async with house(1, is_measured=True) as at:
        await at.come(*[request(f"bulk {n}", "bulk") for n in range(20)])
        newcomer = ticket_for(request("chat", "chat"), at.gate.pace, at.clock)

        assert at.gate.predicted_wait_s(newcomer) <= 2 * SERVICE_S


async def test_a_full_queue_sends_away_the_last_of_who_has_most_waiting() -> None:
    async with house(1, Limits(4, 1e6, 300.0)) as at:
        await at.come(*[request(f"bulk {n}", "bulk") for n in range(5)], request("chat", "chat"))

        assert isinstance(at.error("bulk 4"), RateLimited)
        assert at.error("chat") is None
        await at.come(request("bulk 5", "bulk"))
        assert isinstance(at.error("bulk 5"), RateLimited)


async def test_batch_work_yields_to_a_chat_and_is_not_starved() -> None:
    async with house(1) as at:
        await at.come(request("first", "chat"))
        await at.come(*[request(f"batch {n}", "job", "batch") for n in range(3)])
        await at.come(*[request(f"chat {n}", "chat") for n in range(30)])

    order = [name.split()[0] for name in at.entered]
    assert order.index("batch") < len(order) - 1
    assert order[1:20].count("batch") <= 3
    assert at.entered.index("batch 2") > at.entered.index("chat 15")


async def test_some_places_are_kept_from_batch_work() -> None:
    async with house(8) as at:
        await at.come(*[request(f"batch {n}", "job", "batch") for n in range(20)])
        assert at.gate.num_running == 7

        await at.come(request("chat", "chat"))
        assert at.entered[-1] == "chat"


async def test_retries_find_half_the_queue() -> None:
    async with house(1, Limits(4, 1e6, 300.0)) as at:
        await at.come(*each(3))
        await at.come(replace(request("again"), is_retry=True), request("new"))

        assert isinstance(at.error("again"), Overloaded)
        assert at.error("new") is None


async def test_who_was_admitted_is_told() -> None:
    admitted: list[str] = []
    gate = Gate(1, Limits(1, 1e6, 300.0), admitted.append)

    async with gate.enter(request("a")):
        assert admitted == ["a"]


Visit = tuple[str, Priority, int, float | None, bool]
VISITS = st.lists(
    st.tuples(
        st.sampled_from(("a", "b", "c")),
        st.sampled_from(("interactive", "batch")),
        st.integers(1, 5),
        st.none() | st.floats(0.0, 0.003),
        st.booleans(),
    ),
    max_size=25,
)


@given(VISITS, st.integers(1, 8))
async def test_whoever_comes_and_goes_the_gate_holds_its_capacity_and_empties(
    visits: list[Visit], capacity: int
) -> None:
    gate, most = Gate(capacity, Limits(10, 3000, 300.0)), 0
    draw = random.Random(len(visits))

    async def visit(number: int, one: Visit) -> None:
        nonlocal most
        caller_id, priority, n, given_s, is_retry = one
        deadline_s = None if given_s is None else asyncio.get_running_loop().time() + given_s
        asked = replace(
            request(f"{number}", caller_id, priority, n), deadline_s=deadline_s, is_retry=is_retry
        )
        async with gate.enter(asked) as (ticket, _):
            most = max(most, gate.num_running)
            ticket.see(Chunk("a", num_tokens=n))
            for _ in range(draw.randrange(3)):
                await asyncio.sleep(0)

    tasks = [asyncio.create_task(visit(number, one)) for number, one in enumerate(visits)]
    await asyncio.sleep(0)
    for task in draw.sample(tasks, len(tasks) // 4):
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)

    assert most <= capacity
    assert (gate.num_running, gate.num_waiting) == (0, 0)
    assert all(
        end is None or isinstance(end, CanteenError | asyncio.CancelledError) for end in ends
    )
