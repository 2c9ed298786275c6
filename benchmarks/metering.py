"""What metering costs: processor time of gateway and worker per 1,000 tokens, with it and without.

The default model at 32 streams, in pairs of rounds A B A B with the same prompts. Both workers
are there all the time, and the one that is not asked sleeps. There is no HTTP between, so what is
added is compared with less than a request really costs.
"""

import argparse
import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks import log
from benchmarks.peers import MODEL
from benchmarks.servers import Server
from canteen.bench.load import Load
from canteen.core.engine import Engine, StepListener
from canteen.core.footprint import Charge
from canteen.core.generation import GenerationRequest, Message, SamplingParams, Usage
from canteen.core.units import exact
from canteen.engines.process import Worker, WorkerEngine
from canteen.metering.attribution import StepCost
from canteen.metering.metered import Metered
from canteen.metering.node import Node
from canteen.metering.probes.auto import PROCESSOR, choose
from canteen.metering.probes.modelled import Modelled
from canteen.runtime.catalog import Catalog

TABLE = "What metering costs"
LOAD = Load(prompt_tokens=128, max_tokens=64)
STREAMS, REQUESTS_EACH = 32, 3
PAIRS = 10
# Student's t for 95 % and PAIRS - 1 degrees of freedom.
STUDENT_T = 2.262
# What they cost does not depend on the numbers in them.
COST = StepCost(fixed_s=1e-2, token_s=1e-4, attention_s=1e-8, cache_s=1e-8)
POWERS_W = (20.0, 100.0)


class Unread:
    """Bills that nobody reads."""

    def add(self, receipt_id: str, charge: Charge, usage: Usage) -> None: ...


@dataclass(frozen=True)
class Side:
    """A loaded model, metered or not."""

    engine: Engine
    worker: Worker

    async def cpu_s(self, load: Load) -> float:
        """Processor seconds of gateway and worker per 1,000 tokens, in a round of the load."""
        before_s = self._cpu_s()
        streams = (self._stream(load, number) for number in range(STREAMS))
        tokens = sum(await asyncio.gather(*streams))
        return 1000 * (self._cpu_s() - before_s) / tokens

    def _cpu_s(self) -> float:
        if self.worker.pid is None:
            raise SystemExit("the worker has ended")
        return time.process_time() + Server("", self.worker.pid).cpu_s

    async def _stream(self, load: Load, number: int) -> int:
        tokens = 0
        for each in range(REQUESTS_EACH):
            asked = request(load, number * REQUESTS_EACH + each)
            async with aclosing(self.engine.generate(asked)) as chunks:
                async for chunk in chunks:
                    tokens += chunk.num_tokens
        return tokens


def request(load: Load, number: int) -> GenerationRequest:
    """Request `number` of the load."""
    (said,) = load.body(MODEL, number)["messages"]
    greedy = SamplingParams(max_tokens=load.max_tokens, temperature=0, ignore_eos=True)
    name = f"{load.seed}-{number}"
    messages = (Message("user", said["content"]),)
    return GenerationRequest(name, MODEL, messages, sampling=greedy, receipt_id=name)


@asynccontextmanager
async def loaded(home: Path, node: Node | None) -> AsyncIterator[Side]:
    """The default model, whose requests a node charges, or none."""
    catalog = Catalog(home)
    options: dict[str, Any] = {
        "folder": str(catalog.path(catalog.get(MODEL))),
        "max_num_seqs": STREAMS,
    }
    listener: StepListener | None = node.consumer(COST) if node else None
    worker = Worker("openvino", options, listener)
    engine = WorkerEngine(worker, await worker.start())
    yield Side(Metered(engine, node, Unread()) if node else engine, worker)
    await worker.close()


async def tick(node: Node) -> None:
    """As the service does."""
    while True:
        await asyncio.sleep(1)
        node.tick()


async def pairs(home: Path) -> list[tuple[float, float]]:
    """Rounds without and with metering by turns; the first pair is to warm up."""
    joule = exact(1, "J")
    node = Node(choose(PROCESSOR, joule, Modelled(*POWERS_W, 2, joule)))
    ticking = asyncio.create_task(tick(node))
    rounds = []
    async with loaded(home, None) as without, loaded(home, node) as metered:
        for number in range(PAIRS + 1):
            pair = (
                # The same prompts: neither worker has seen them, and they are no difference.
                await without.cpu_s(replace(LOAD, seed=number)),
                await metered.cpu_s(replace(LOAD, seed=number)),
            )
            print(f"{pair[0]:.3f} s {pair[1]:.3f} s", flush=True)
            rounds.append(pair)
    ticking.cancel()
    return rounds[1:]


def main() -> None:
    """Run the pairs and add the mean difference with its 95 % interval to the log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".cache/home"))
    measured = asyncio.run(pairs(parser.parse_args().home.absolute()))
    added = [100 * (metered / without - 1) for without, metered in measured]
    half = STUDENT_T * stdev(added) / math.sqrt(PAIRS)
    without_s, metered_s = (mean(column) for column in zip(*measured, strict=True))
    log.add(
        TABLE,
        f"{without_s:.3f} s",
        f"{metered_s:.3f} s",
        f"{mean(added):+.1f} %",
        f"{mean(added) - half:+.1f} to {mean(added) + half:+.1f} %",
    )


if __name__ == "__main__":
    main()
