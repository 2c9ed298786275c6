"""What the layers above the engine cost: 32 chat streams over HTTP against the engine alone.

Interleaved in one run; the client shares the machine, so its work is in the HTTP figure.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.http_streams import MAX_TOKENS, MODEL, TEXT, free_port, measure, running
from canteen.core.generation import GenerationRequest, Message, SamplingParams
from canteen.engines.openvino import OpenVinoEngine
from canteen.runtime.catalog import Catalog

GREEDY = SamplingParams(max_tokens=MAX_TOKENS, temperature=0, ignore_eos=True)


def bare(engine: OpenVinoEngine, streams: int, label: str) -> float:
    """Tokens/s of the stepped engine, all requests at once."""
    began_s = time.perf_counter()
    for number in range(streams):
        message = Message("user", f"Story {label}, number {number}. {TEXT}")
        engine.add(GenerationRequest(f"{label}-{number}", MODEL, (message,), sampling=GREEDY))
    tokens = 0
    while engine.has_work():
        tokens += sum(delta.chunk.num_tokens for delta in engine.step() if delta.chunk)
    return tokens / (time.perf_counter() - began_s)


def main() -> None:
    """Run the rounds and print the medians, and the median of the rounds' ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".cache/home"))
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    home = options.home.absolute()
    catalog = Catalog(home)
    engine = OpenVinoEngine(catalog.path(catalog.get(MODEL)), max_num_seqs=options.streams)
    port = free_port()
    command = [sys.executable, "-m", "canteen", "serve", "--port", str(port)]
    rounds: list[tuple[float, float]] = []
    with running(command, port, "/health/ready", CANTEEN_HOME=str(home)):
        for number in range(-1, options.rounds):
            alone = bare(engine, options.streams, f"alone {number}")
            served = asyncio.run(measure(port, options.streams, f"served {number}"))
            rounds.append((served.tokens_per_s, alone))
    measured = rounds[1:]
    over_http, alone = (median(column) for column in zip(*measured, strict=True))
    ratio = median(one / other for one, other in measured)
    print(f"over HTTP {over_http:.0f} tokens/s, alone {alone:.0f}, ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
