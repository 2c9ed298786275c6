"""What several processes that speak HTTP save the one behind them, on the echo engine.

A service of one process and one of two more in turn, afresh in each round: short answers as fast as
32 callers ask for them, long ones at a pace at which no two deltas are joined, and short ones that
arrive at random. The load generator, the worker and all processes share the machine.
"""

import asyncio
from itertools import count
from statistics import median
from time import perf_counter

from benchmarks import log
from benchmarks.gateway import milliseconds, whole
from benchmarks.servers import Server, echo
from canteen.bench.client import Client
from canteen.bench.figures import Outcome
from canteen.bench.load import Load, poisson
from canteen.bench.loops import closed_loop, open_loop

HEADING = "Processes that speak HTTP"
ROUNDS = 3
STREAMS = 32
NUM_SHORT, NUM_PACED = 600, 32
PACE = 60.0
RATE_PER_S, ROUND_S = 40.0, 5.0


class Spent:
    """Processor time of the process that answers, and of all that speak HTTP, in a block."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._before_s = server.cpu_s, server.front_cpu_s
        self._began_s = perf_counter()
        self.core_s = self.all_s = self.passed_s = 0.0

    def end(self) -> "Spent":
        """Look again."""
        self.passed_s = perf_counter() - self._began_s
        self.core_s = self._server.cpu_s - self._before_s[0]
        self.all_s = self.core_s + self._server.front_cpu_s - self._before_s[1]
        return self


async def short(server: Server) -> tuple[float, float, float]:
    """Requests of 16 tokens a second, and milliseconds of the core and of all for each."""
    client = Client(server.url, "echo", Load(prompt_tokens=32, max_tokens=16))
    whole(await closed_loop(client.ask, STREAMS, range(1, NUM_SHORT // 4)))
    spent = Spent(server)
    whole(await closed_loop(client.ask, STREAMS, range(1, NUM_SHORT + 1)))
    spent.end()
    client.close()
    each_ms = 1000 / NUM_SHORT
    return NUM_SHORT / spent.passed_s, spent.core_s * each_ms, spent.all_s * each_ms


async def paced(server: Server) -> tuple[float, float]:
    """Microseconds of the core and of all for each delta of long answers."""
    client = Client(server.url, "echo", Load(prompt_tokens=32, max_tokens=256))
    spent = Spent(server)
    outcomes = whole(await closed_loop(client.ask, STREAMS, range(1, NUM_PACED + 1)))
    spent.end()
    client.close()
    num_deltas = sum(len(one.text_s) for one in outcomes)
    return spent.core_s / num_deltas * 1e6, spent.all_s / num_deltas * 1e6


async def arriving(server: Server, seed: int) -> list[Outcome]:
    """Short answers at RATE_PER_S."""
    client = Client(server.url, "echo", Load(prompt_tokens=32, max_tokens=16))
    run = await open_loop(client.ask, poisson(RATE_PER_S, ROUND_S, seed), count(1))
    client.close()
    return [*whole(run)]


def one_round(processes: int, seed: int) -> tuple[list[float], list[Outcome]]:
    """All figures of one service, and the answers whose latencies count."""
    with echo(STREAMS, processes) as server:
        figures = [*asyncio.run(short(server))]
        outcomes = asyncio.run(arriving(server, seed))
    with echo(STREAMS, processes, tokens_per_s=PACE) as server:
        figures += asyncio.run(paced(server))
    print(processes, *(f"{figure:.2f}" for figure in figures), flush=True)
    return figures, outcomes


def main() -> None:
    """Measure both in turn, and log the medians of the rounds."""
    rounds = [{one: one_round(one, seed) for one in (1, 2)} for seed in range(ROUNDS)]
    for processes in (1, 2):
        columns = zip(*(told[processes][0] for told in rounds), strict=True)
        per_s, core_ms, all_ms, core_us, all_us = map(median, columns)
        ends_s = [one.end_s - one.sent_s for told in rounds for one in told[processes][1]]
        log.add(
            HEADING,
            str(processes),
            f"{per_s:.0f}",
            f"{core_ms:.2f} ms",
            f"{all_ms:.2f} ms",
            f"{core_us:.0f} us",
            f"{all_us:.0f} us",
            *milliseconds(ends_s),
        )


if __name__ == "__main__":
    main()
