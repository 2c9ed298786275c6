"""Closed loop, where each stream asks again when it is answered; open loop, where time decides."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator
from time import perf_counter

from canteen.bench.figures import Outcome, Run

# Asks request `number`, which arrived at a time of time.perf_counter().
Ask = Callable[[int, float], Awaitable[Outcome]]


async def closed_loop(
    ask: Ask, num_streams: int, numbers: Iterable[int], duration_s: float = math.inf
) -> Run:
    """So many streams until the numbers or the time are used up.

    The window ends when the first stream falls idle: up to then all of them run.
    """
    left = iter(numbers)
    outcomes: list[Outcome] = []
    began_s = perf_counter()

    async def stream() -> float:
        for number in left:
            outcomes.append(await ask(number, perf_counter()))
            if perf_counter() >= began_s + duration_s:
                break
        return perf_counter()

    idle_s = await asyncio.gather(*(stream() for _ in range(num_streams)))
    return Run(outcomes, began_s, min(idle_s))


async def open_loop(ask: Ask, arrivals_s: Iterator[float], numbers: Iterable[int]) -> Run:
    """A request at each arrival (seconds from the start), whether or not others are answered.

    The window is from the start to the end of the last answer.
    """
    began_s = perf_counter()
    asking = []
    for arrival_s, number in zip(arrivals_s, numbers, strict=False):
        await asyncio.sleep(began_s + arrival_s - perf_counter())
        asking.append(asyncio.ensure_future(ask(number, began_s + arrival_s)))
    outcomes = await asyncio.gather(*asking)
    return Run(outcomes, began_s, max((one.end_s for one in outcomes), default=began_s))
