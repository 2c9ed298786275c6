"""What the gateway itself costs, measured on the echo engine, which takes no time to speak of.

The load generator shares the machine, so latencies are taken in turn with those of a server that
only says a canned answer: what is above them is the gateway's and the worker's. Memory and
processor time are those of the gateway's process alone.
"""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from itertools import count
from time import perf_counter

from benchmarks import log
from benchmarks.servers import Server, echo, free_port, running
from canteen.bench.client import Client
from canteen.bench.figures import Outcome, Run, Spread
from canteen.bench.load import Load, poisson
from canteen.bench.loops import closed_loop, open_loop

LATENCY = "What the gateway adds"
SPEED = "Tokens a second through the gateway"
MEMORY = "Memory of the gateway"
RATE_PER_S, ROUND_S, ROUNDS = 200.0, 10.0, 3
STREAMS = 32
MIB = 1 << 20


async def latency(server: Server, canned: Server) -> None:
    """Log the latencies of short answers, in rounds by turns; the first is to warm up."""
    rounds = [
        (await arrive(server, seed), await arrive(canned, seed)) for seed in range(ROUNDS + 1)
    ]
    ours = [one for our, _ in rounds[1:] for one in our]
    floor = [one for _, other in rounds[1:] for one in other]
    log.add(
        LATENCY,
        *milliseconds(one.text_s[0] - one.sent_s for one in ours),
        *milliseconds(one.end_s - one.sent_s for one in ours),
        *milliseconds(one.end_s - one.sent_s for one in floor),
    )


async def arrive(server: Server, seed: int) -> Sequence[Outcome]:
    """A round of short answers at RATE_PER_S."""
    client = Client(server.url, "echo", Load(prompt_tokens=32, max_tokens=16))
    run = await open_loop(client.ask, poisson(RATE_PER_S, ROUND_S, seed), count(1))
    client.close()
    return whole(run)


async def speed(server: Server, pace: str) -> None:
    """Log how many tokens get through in STREAMS long streams at once, how many come together, and
    how many there are per second of the gateway's processor time; the first round is to warm up."""
    for _ in range(2):
        client = Client(server.url, "echo", Load(prompt_tokens=32, max_tokens=512))
        before_s, began_s = server.cpu_s, perf_counter()
        outcomes = whole(await closed_loop(client.ask, STREAMS, range(1, 4 * STREAMS + 1)))
        passed_s, cpu_s = perf_counter() - began_s, server.cpu_s - before_s
        client.close()
    num_tokens = sum(one.completion_tokens for one in outcomes)
    num_deltas = sum(len(one.text_s) for one in outcomes)
    log.add(
        SPEED,
        pace,
        f"{num_tokens / passed_s:.0f}",
        f"{num_tokens / num_deltas:.1f}",
        f"{num_tokens / cpu_s:.0f}",
        f"{num_deltas / cpu_s:.0f}",
    )


async def memory(server: Server, first: int, last: int) -> None:
    """Log the resident memory after so many requests."""
    client = Client(server.url, "echo", Load(prompt_tokens=32, max_tokens=4))
    sizes_mib = []
    for numbers in (range(1, first + 1), range(first + 1, last + 1)):
        whole(await closed_loop(client.ask, STREAMS, numbers))
        sizes_mib.append(server.resident_bytes / MIB)
    client.close()
    before, after = sizes_mib
    log.add(MEMORY, f"{before:.1f} MiB", f"{after:.1f} MiB", f"{after - before:+.1f} MiB")


def whole(run: Run) -> Sequence[Outcome]:
    """The outcomes; ends the program where one of them is no whole answer."""
    if failed := [one for one in run.outcomes if not one.is_whole]:
        raise SystemExit(f"{len(failed)} failed, as in {failed[0]}")
    return run.outcomes


def milliseconds(values_s: Iterable[float]) -> list[str]:
    """Median and p99."""
    spread = Spread.of(values_s)
    return [f"{spread.median * 1000:.1f} ms", f"{spread.p99 * 1000:.1f} ms"]


def main() -> None:
    """Measure a server for the latencies, and fresh ones for the speed and the memory."""
    port = str(free_port())
    command = [sys.executable, "-m", "benchmarks.canned", port]
    with echo() as server, running(command, f"http://127.0.0.1:{port}", "/") as canned:
        asyncio.run(latency(server, canned))
    for pace, tokens_per_s in (("as fast as it goes", 0.0), ("60 a stream", 60.0)):
        with echo(tokens_per_s=tokens_per_s) as server:
            asyncio.run(speed(server, pace))
    with echo() as server:
        asyncio.run(memory(server, 20_000, 100_000))


if __name__ == "__main__":
    main()
