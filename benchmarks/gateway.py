"""What the gateway itself costs, measured on the echo engine, which takes no time to speak of.

The load generator shares the machine, so latencies are taken in turn with those of a server that
only says a canned answer: what is above them is the gateway's and the worker's. Memory and
processor time are those of the gateway's process alone.
"""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from itertools import count

from benchmarks import log
from benchmarks.servers import Server, echo, free_port, running
from canteen.bench.client import Client
from canteen.bench.figures import Outcome, Run, Spread
from canteen.bench.load import Load, poisson
from canteen.bench.loops import closed_loop, open_loop

LATENCY = "What the gateway adds"
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
        f"{await tokens_per_core(server):.0f}",
    )


async def arrive(server: Server, seed: int) -> Sequence[Outcome]:
    """A round of short answers at RATE_PER_S."""
    client = Client(server.url, "echo", Load(prompt_tokens=32, max_tokens=16))
    run = await open_loop(client.ask, poisson(RATE_PER_S, ROUND_S, seed), count(1))
    client.close()
    return whole(run)


async def tokens_per_core(server: Server) -> float:
    """Tokens per second of the gateway's processor time, in STREAMS long streams at once."""
    client = Client(server.url, "echo", Load(prompt_tokens=32, max_tokens=1024))
    before_s = server.cpu_s
    outcomes = whole(await closed_loop(client.ask, STREAMS, range(1, 4 * STREAMS + 1)))
    client.close()
    return sum(one.completion_tokens for one in outcomes) / (server.cpu_s - before_s)


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
    """Measure a server for the latencies, and a fresh one for the memory."""
    port = str(free_port())
    command = [sys.executable, "-m", "benchmarks.canned", port]
    with echo() as server, running(command, f"http://127.0.0.1:{port}", "/") as canned:
        asyncio.run(latency(server, canned))
    with echo() as server:
        asyncio.run(memory(server, 20_000, 100_000))


if __name__ == "__main__":
    main()
