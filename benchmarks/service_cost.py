"""What the layers above the engine cost: 32 chat streams over HTTP against the engine alone.

Interleaved in one run; the client shares the machine, so its work is in the HTTP figure.
"""

import argparse
import asyncio
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks import log
from benchmarks.peers import MODEL, Case, measure
from benchmarks.servers import canteen
from canteen.bench.load import Load
from canteen.core.generation import GenerationRequest, Message, SamplingParams
from canteen.engines.openvino import OpenVinoEngine
from canteen.runtime.catalog import Catalog

TABLE = "What the service costs above the engine"
LOAD = Load(prompt_tokens=128, max_tokens=64)


def bare(engine: OpenVinoEngine, streams: int, load: Load) -> float:
    """Tokens/s of the stepped engine, all requests at once."""
    greedy = SamplingParams(max_tokens=load.max_tokens, temperature=0, ignore_eos=True)
    began_s = time.perf_counter()
    for number in range(1, streams + 1):
        (said,) = load.body(MODEL, number)["messages"]
        messages = (Message("user", said["content"]),)
        engine.add(GenerationRequest(f"{number}", MODEL, messages, sampling=greedy))
    tokens = 0
    while engine.has_work():
        tokens += sum(delta.chunk.num_tokens for delta in engine.step() if delta.chunk)
    return tokens / (time.perf_counter() - began_s)


def main() -> None:
    """Run the rounds and add the medians, and the median of the rounds' ratios, to the log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".cache/home"))
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    catalog = Catalog(options.home.absolute())
    engine = OpenVinoEngine(catalog.path(catalog.get(MODEL)), max_num_seqs=options.streams)
    case = Case("all at once", options.streams, LOAD, requests_each=1)
    rounds: list[tuple[float, float]] = []
    with canteen(options.home) as server:
        for number in range(options.rounds + 1):
            alone = bare(engine, options.streams, replace(LOAD, seed=2 * number))
            served = asyncio.run(measure(server, case, 2 * number + 1))
            rounds.append((served.output_tokens_per_s, alone))
    measured = rounds[1:]
    over_http, alone = (median(column) for column in zip(*measured, strict=True))
    ratio = median(one / other for one, other in measured)
    log.add(TABLE, f"{over_http:.0f}", f"{alone:.0f}", f"{ratio:.3f}")


if __name__ == "__main__":
    main()
