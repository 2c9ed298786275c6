"""Canteen against llama.cpp's server, interleaved in one run over the same load.

Both start from one GGUF: Canteen has prepared it, the peer serves it or its Q8_0. They share the
machine with the load generator.
"""

import argparse
import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from statistics import median

from benchmarks import llama_cpp, log, q8_gguf
from benchmarks.servers import Server, canteen
from canteen.bench.client import Client
from canteen.bench.figures import Figures
from canteen.bench.load import Load
from canteen.bench.loops import closed_loop
from canteen.core.model import ModelCard
from canteen.runtime.catalog import Catalog

MODEL = "smollm2:135m"
TABLE = "Against llama.cpp's server"
PERPLEXITIES = "Perplexity of the weights"
Q8_0 = Path(".cache/smollm2-135m.Q8_0.gguf")


@dataclass(frozen=True)
class Case:
    """A closed loop, and how many requests each of its streams makes in a round."""

    name: str
    num_streams: int
    load: Load
    requests_each: int = 2


CHAT = Load(prompt_tokens=128, max_tokens=64)
CASES = (
    Case("1 stream", 1, CHAT, requests_each=6),
    Case("4 streams", 4, CHAT),
    Case("16 streams", 16, CHAT),
    Case("32 streams", 32, CHAT),
    Case(
        "16 streams, 384 of 512 shared",
        16,
        replace(CHAT, prompt_tokens=512, shared_prefix_tokens=384),
    ),
    Case(
        "1 stream, 512-token prompt",
        1,
        replace(CHAT, prompt_tokens=512, max_tokens=8),
        requests_each=6,
    ),
)


async def measure(server: Server, case: Case, seed: int) -> Figures:
    """One round of a case; ends the program where an answer is missing."""
    client = Client(server.url, MODEL, replace(case.load, seed=seed))
    numbers = range(1, case.num_streams * case.requests_each + 1)
    figures = Figures.of(await closed_loop(client.ask, case.num_streams, numbers))
    client.close()
    if figures.errors:
        raise SystemExit(f"{server.url}: {figures.errors}")
    return figures


def rounds(
    ours: Server, theirs: Server, case: Case, num_rounds: int, seed: int
) -> list[tuple[Figures, Figures]]:
    """A short warm-up, then ours, theirs, ours, theirs; every round has prompts of its own."""

    def pair(case: Case, number: int) -> tuple[Figures, Figures]:
        our = asyncio.run(measure(ours, case, seed + number))
        return our, asyncio.run(measure(theirs, case, seed + number))

    pair(replace(case, requests_each=1), 0)
    return [pair(case, number) for number in range(1, num_rounds + 1)]


def cells(pairs: list[tuple[Figures, Figures]]) -> list[str]:
    """Medians of each side, and the median of the rounds' ratios: tokens/s, then TTFT."""

    def compare(figure: Callable[[Figures], float], unit: str) -> list[str]:
        values = [(figure(our), figure(their)) for our, their in pairs]
        our, their = (median(column) for column in zip(*values, strict=True))
        ratio = median(our / their for our, their in values)
        return [f"{our:{unit}}", f"{their:{unit}}", f"{ratio:.2f}"]

    speeds = compare(lambda one: one.output_tokens_per_s, ".0f")
    return speeds + compare(lambda one: one.ttft.median, ".3f")


def log_perplexities(card: ModelCard, gguf: Path, weights: str) -> None:
    """What the accuracy is at which the two are compared."""
    text = Path(str(files("canteen.lifecycle").joinpath("quality.txt")))
    theirs = llama_cpp.perplexity(gguf, text)
    ours = f"{card.quality['perplexity_after']:.2f}"
    log.add(
        PERPLEXITIES, f"{card.quality['perplexity_before']:.2f}", ours, weights, f"{theirs:.2f}"
    )


def main() -> None:
    """Run the cases against one file of weights, and add their rows to the log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".cache/home"))
    parser.add_argument("--weights", choices=("Q4_1", "Q8_0"), default="Q8_0")
    parser.add_argument("--native", action="store_true", help="a peer built for this processor")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    catalog = Catalog(options.home.absolute())
    card = catalog.get(MODEL)
    gguf = catalog.blob_path(card.digest)
    if options.weights == "Q8_0":
        if not Q8_0.exists():
            q8_gguf.write(gguf, Q8_0)
        gguf = Q8_0
    peer = f"{'native' if options.native else 'wheel'}, {options.weights}"
    if options.native:
        log_perplexities(card, gguf, peer)
    with canteen(options.home) as ours:
        for number, case in enumerate(CASES):
            with llama_cpp.serving(
                gguf, MODEL, case.num_streams, is_native=options.native
            ) as theirs:
                pairs = rounds(ours, theirs, case, options.rounds, seed=1000 * number)
            log.add(TABLE, peer, case.name, *cells(pairs))


if __name__ == "__main__":
    main()
