"""What the gateway itself costs, measured on the echo engine, which takes no time to speak of.

The load generator shares the machine. Latencies are from the sending of a request; memory and
processor time are those of the gateway's process alone.
"""

import asyncio
from collections.abc import Sequence
from itertools import count

from benchmarks import log
from benchmarks.servers import Server, echo
from canteen.bench.client import Client
from canteen.bench.figures import Outcome, Run, Spread
from canteen.bench.load import Load, poisson
from canteen.bench.loops import closed_loop, open_loop

LATENCY = "What the gateway adds"
MEMORY = "Memory of the gateway"
RATE_PER_S = 200.0
WARM_UP_S, DURATION_S = 2.0, 20.0
STREAMS = 32
MIB = 1 << 20


async def latency(server: Server) -> None:
    """Log the latencies of short answers at RATE_PER_S."""
    client = Client(server.url, "echo", Load(prompt_tokens=32, max_tokens=16))
    for duration_s in (WARM_UP_S, DURATION_S):
        arrivals_s = poisson(RATE_PER_S, duration_s, seed=1)
        outcomes = whole(await open_loop(client.ask, arrivals_s, count(1)))
    client.close()
    first = Spread.of(one.text_s[0] - one.sent_s for one in outcomes)
    end = Spread.of(one.end_s - one.sent_s for one in outcomes)
    cells = [
        f"{value_s * 1000:.1f} ms" for value_s in (first.median, first.p99, end.median, end.p99)
    ]
    log.add(LATENCY, *cells, f"{await tokens_per_core(server):.0f}")


async def tokens_per_core(server: Server) -> float:
    """Tokens per second of the gateway's processor time, in STREAMS long streams at once."""
    client = Client(server.url, "echo", Load(prompt_tokens=32, max_tokens=1024))
    before_s = server.cpu_s
    outcomes = whole(await closed_loop(client.ask, STREAMS, range(1, 4 * STREAMS + 1)))
    client.close()
    return sum(one.completion_tokens for one in outcomes) / (server.cpu_s - before_s)


async def memory(server: Server, *request_counts: int) -> None:
    """Log the resident memory after so many requests in all."""
    client = Client(server.url, "echo", Load(prompt_tokens=32, max_tokens=4))
    done = 0
    sizes_mib = []
    for wanted in request_counts:
        numbers = range(done + 1, wanted + 1)
        whole(await closed_loop(client.ask, STREAMS, numbers))
        sizes_mib.append(server.resident_bytes / MIB)
        done = wanted
    client.close()
    log.add(
        MEMORY,
        *(f"{size:.1f} MiB" for size in sizes_mib),
        f"{sizes_mib[-1] - sizes_mib[0]:+.1f} MiB",
    )


def whole(run: Run) -> Sequence[Outcome]:
    """The outcomes; ends the program where one of them is no whole answer."""
    if failed := [one for one in run.outcomes if not one.is_whole]:
        raise SystemExit(f"{len(failed)} failed, as in {failed[0]}")
    return run.outcomes


def main() -> None:
    """Measure a server for the latencies, and a fresh one for the memory."""
    with echo() as server:
        asyncio.run(latency(server))
    with echo() as server:
        asyncio.run(memory(server, 20_000, 100_000))


if __name__ == "__main__":
    main()
