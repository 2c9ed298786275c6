"""What keys, budgets, traces and the audit add together, on the echo engine.

Two services answer in turn: a bare one, and one that asks for a key with budgets, sends a trace of
each request to a collector, and records each on the disk before its answer ends.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks import log, servers
from benchmarks.gateway import RATE_PER_S, ROUND_S, ROUNDS, milliseconds, whole
from benchmarks.servers import Server, free_port, running
from canteen.bench.client import Client
from canteen.bench.figures import Outcome
from canteen.bench.load import Load, poisson
from canteen.bench.loops import open_loop

HEADING = "What keys, budgets, traces and the audit add"
LIMITS = ("tokens_per_day=1e9", "requests_per_minute=1e9", "concurrency=1e5")
# No model that would have to be fetched and prepared.
ECHO = {"CANTEEN_MODEL": "echo", "CANTEEN_EMBEDDER": "echo-embed"}
PROGRAM = (sys.executable, "-m", "canteen")


@contextmanager
def bare(folder: Path) -> Iterator[Server]:
    """Canteen as it comes."""
    with servers.canteen(_home(folder / "bare"), **ECHO) as server:
        yield server


@contextmanager
def laden(folder: Path, collector: Server) -> Iterator[tuple[Server, Mapping[str, str]]]:
    """Canteen with all of it, and the headers that its callers send."""
    home = _home(folder / "laden")
    told = ["keys", "create", "bench", "--json"]
    told += [word for limit in LIMITS for word in ("--limit", limit)]
    key = json.loads(_run(home, *told))["key"]
    environ = {
        **ECHO,
        "CANTEEN_KEYS": "on",
        "CANTEEN_AUDIT": "1",
        "CANTEEN_OTLP_ENDPOINT": collector.url,
    }
    with servers.canteen(home, **environ) as server:
        yield server, {"Authorization": f"Bearer {key}"}


@dataclass(frozen=True)
class Round:
    """What a round took, and the gateway's processor time for each of its requests."""

    outcomes: Sequence[Outcome]
    cpu_s: float


async def arrive(server: Server, headers: Mapping[str, str], rate_per_s: float, seed: int) -> Round:
    """A round of short answers."""
    client = Client(server.url, "echo", Load(prompt_tokens=32, max_tokens=16), headers)
    before_s = server.cpu_s
    run = await open_loop(client.ask, poisson(rate_per_s, ROUND_S, seed), count(1))
    client.close()
    return Round(whole(run), (server.cpu_s - before_s) / len(run.outcomes))


async def compare(
    plain: Server, full: Server, headers: Mapping[str, str], rate_per_s: float
) -> None:
    """Log both, in rounds by turns; the first is to warm up."""
    rounds = [
        (await arrive(plain, {}, rate_per_s, seed), await arrive(full, headers, rate_per_s, seed))
        for seed in range(ROUNDS + 1)
    ]
    cells = [f"{rate_per_s:g}"]
    for side in zip(*rounds[1:], strict=True):
        cells += milliseconds(one.end_s - one.sent_s for run in side for one in run.outcomes)
        cells.append(f"{1000 * sum(run.cpu_s for run in side) / len(side):.2f} ms")
    log.add(HEADING, *cells)


def _home(home: Path) -> Path:
    for model in ("echo", "echo-embed"):
        _run(home, "pull", model)
    return home


def _run(home: Path, *words: str) -> str:
    environ = {"CANTEEN_HOME": str(home)}
    done = subprocess.run(
        [*PROGRAM, *words], env=environ, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def main() -> None:
    """Measure both, at 200 requests a second or at the rate that is given."""
    rate_per_s = float(sys.argv[1]) if len(sys.argv) > 1 else RATE_PER_S
    port = str(free_port())
    command = [sys.executable, "-m", "benchmarks.canned", port]
    with (
        tempfile.TemporaryDirectory() as folder,
        running(command, f"http://127.0.0.1:{port}", "/") as collector,
        bare(Path(folder)) as plain,
        laden(Path(folder), collector) as (full, headers),
    ):
        asyncio.run(compare(plain, full, headers, rate_per_s))


if __name__ == "__main__":
    main()
