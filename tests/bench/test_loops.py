"""Closed and open loops around a service that exists in the test alone."""

import asyncio
from itertools import count
from time import perf_counter

from canteen.bench.figures import Outcome
from canteen.bench.loops import closed_loop, open_loop


class Service:
    """Answers after some turns of the event loop, and remembers how many it held at once."""

    def __init__(self, num_turns: int = 3) -> None:
        self.asked: list[int] = []
        self.num_running = 0
        self.most_running = 0
        self._num_turns = num_turns

    async def ask(self, number: int, due_s: float) -> Outcome:
        self.asked.append(number)
        self.num_running += 1
        self.most_running = max(self.most_running, self.num_running)
        for _ in range(self._num_turns):
            await asyncio.sleep(0)
        self.num_running -= 1
        return Outcome(due_s, perf_counter(), perf_counter())


async def test_a_closed_loop_holds_its_number_of_streams() -> None:
    service = Service()

    run = await closed_loop(service.ask, 4, range(1, 11))

    assert service.most_running == 4
    assert sorted(service.asked) == list(range(1, 11))
    assert len(run.outcomes) == 10


async def test_a_closed_loop_stops_asking_when_its_time_is_over() -> None:
    service = Service()

    run = await closed_loop(service.ask, 2, count(), duration_s=0.0)

    assert service.asked == [0, 1]
    assert run.ended_s >= run.began_s


async def test_the_window_of_a_closed_loop_ends_when_the_first_stream_falls_idle() -> None:
    async def ask(number: int, due_s: float) -> Outcome:
        for _ in range(50 * number):
            await asyncio.sleep(0)
        return Outcome(due_s, due_s, perf_counter())

    run = await closed_loop(ask, 2, [1, 9])

    first, last = sorted(one.end_s for one in run.outcomes)
    assert first <= run.ended_s < last


async def test_an_open_loop_does_not_wait_for_answers() -> None:
    service = Service(num_turns=100)

    run = await open_loop(service.ask, iter([0.0] * 20), count(1))

    assert service.most_running == 20
    assert len(run.outcomes) == 20


async def test_an_arrival_of_an_open_loop_is_when_it_was_due() -> None:
    run = await open_loop(Service().ask, iter([0.0, 0.01, 0.02]), count())

    assert [round(one.due_s - run.began_s, 6) for one in run.outcomes] == [0.0, 0.01, 0.02]


async def test_an_open_loop_without_arrivals_is_an_empty_run() -> None:
    assert (await open_loop(Service().ask, iter([]), count())).outcomes == []
