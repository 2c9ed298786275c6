"""Goodput at one to three times the capacity, refusals, and what Retry-After is worth.

The echo engine works at fixed speeds, so that the capacity is known and the machine plays no
part. Every request has a deadline; in a storm, who is refused or waits in vain asks again.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from statistics import median
from time import perf_counter

from benchmarks import log
from benchmarks.servers import Server, echo
from canteen.bench.client import Client
from canteen.bench.figures import Figures, Outcome, Spread
from canteen.bench.load import Load, poisson
from canteen.bench.loops import closed_loop, open_loop

TABLE = "Overload"
NUM_SEQS = 8
TOKENS_PER_S, PREFILL_TOKENS_PER_S = 50.0, 640.0
# A service time of 0.74 s: 0.1 s of prefill, 0.64 s of decoding.
LOAD = Load(prompt_tokens=64, max_tokens=32, deadline_s=3.0)
PREFILL_S = LOAD.prompt_tokens / PREFILL_TOKENS_PER_S
DURATION_S = 20.0
TIMES = (1, 2, 3)
# Spring AI's defaults at a twentieth of their time: 60 s and four attempts, 2 s before the second
# one, and five times as long before each further one, whatever Retry-After says.
STORM_PAUSES_S = (0.1, 0.5, 2.5)
REFUSALS = ("503", "429")


@dataclass(frozen=True)
class Callers:
    """Callers that give up after the deadline, or after some pauses and further attempts."""

    clients: Sequence[Client]
    pauses_s: Sequence[float]
    attempts: list[Outcome]

    @classmethod
    def of(cls, server: Server, pauses_s: Sequence[float] = ()) -> "Callers":
        """Callers who say in a header which attempt it is."""
        headers = [{"X-Stainless-Retry-Count": f"{number}"} for number in range(len(pauses_s) + 1)]
        return cls([Client(server.url, "echo", LOAD, one) for one in headers], pauses_s, [])

    async def ask(self, number: int, due_s: float) -> Outcome:
        """Ask until it is answered; the outcome of the last attempt, since the first one's time."""
        for client, pause_s in zip(self.clients, (*self.pauses_s, None), strict=True):
            outcome = await client.ask(
                number, due_s if client is self.clients[0] else perf_counter()
            )
            self.attempts.append(outcome)
            if outcome.is_whole or pause_s is None:
                break
            await asyncio.sleep(pause_s)
        return replace(outcome, due_s=due_s)

    def close(self) -> None:
        """Close the connections."""
        for client in self.clients:
            client.close()


async def capacity_per_s(server: Server) -> float:
    """Answers a second where as many ask as there are places."""
    callers = Callers.of(server)
    run = await closed_loop(callers.ask, NUM_SEQS, range(6 * NUM_SEQS))
    callers.close()
    return Figures.of(run).requests_per_s


async def overload(server: Server, capacity: float, times: int, pauses_s: Sequence[float]) -> None:
    """Offer so many times the capacity, and log what came of it."""
    callers = Callers.of(server, pauses_s)
    arrivals_s = poisson(times * capacity, DURATION_S, seed=times)
    run = await open_loop(callers.ask, arrivals_s, count(1))
    callers.close()
    refused = [one for one in callers.attempts if one.error in REFUSALS]
    others = [one for one in run.outcomes if not one.is_whole and one.error not in REFUSALS]
    to_refuse = Spread.of(one.end_s - one.sent_s for one in refused)
    log.add(
        TABLE,
        f"{times}x{', retried' if pauses_s else ''}",
        f"{len(run.outcomes)}, {len(callers.attempts)}",
        f"{Figures.of(run).requests_per_s / capacity:.1%}",
        f"{len(refused)}, {len(others)}",
        f"{to_refuse.median * 1000:.1f} ms, {to_refuse.p99 * 1000:.1f} ms" if refused else "-",
        f"{retry_after_error(callers.attempts):.0%}" if refused else "-",
    )


def retry_after_error(attempts: Sequence[Outcome]) -> float:
    """Median of the relative difference between the wait that a refused caller was told and the
    wait in the queue of the accepted one that arrived nearest to it."""
    accepted = sorted((one.sent_s, one.text_s[0] - one.sent_s) for one in attempts if one.is_whole)
    errors = []
    for one in attempts:
        if one.error in REFUSALS and one.retry_after_s is not None:
            at = bisect_left(accepted, (one.sent_s, 0.0))
            near = min(
                accepted[max(at - 1, 0) : at + 1], key=lambda pair: abs(pair[0] - one.sent_s)
            )
            queue_s = max(near[1] - PREFILL_S, 1e-3)
            errors.append(abs(one.retry_after_s - queue_s) / queue_s)
    return median(errors)


async def measure(server: Server) -> None:
    """The capacity, then the loads without retries and with them."""
    capacity = await capacity_per_s(server)
    print(f"capacity {capacity:.2f} requests/s", flush=True)
    for pauses_s in ((), STORM_PAUSES_S):
        for times in TIMES:
            await overload(server, capacity, times, pauses_s)


def main() -> None:
    """Measure one server."""
    speeds = {"tokens_per_s": TOKENS_PER_S, "prefill_tokens_per_s": PREFILL_TOKENS_PER_S}
    with echo(NUM_SEQS, **speeds) as server:
        asyncio.run(measure(server))


if __name__ == "__main__":
    main()
