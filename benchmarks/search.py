"""Search over many passages: how long a query takes, and how much an exact search would find.

Vectors lie in overlapping clusters, each spread over a few directions of its own, as those of
texts do; words are drawn by Zipf's law. The query's vector is given, as it is after embedding.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from canteen.tasks.documents import Document
from canteen.tasks.indexes import Entry, Index, IndexCard, Indexes, Query, parsed
from canteen.tasks.passages import Passage

DIMENSIONS = 384
CLUSTERS = 300
DIRECTIONS = 24
VOCABULARY = 30_000
WORDS = 120
WORDS_ASKED = 6
BATCH = 2_000
WARM_UP = 20
TOP = 10
MODES: tuple[Literal["hybrid", "vector", "text"], ...] = ("hybrid", "vector", "text")

Array = np.ndarray[Any, np.dtype[np.float32]]


def vectors(rng: np.random.Generator, number: int) -> Array:
    """Unit vectors, (number, dimensions); neighbouring clusters run into each other."""
    centres = rng.standard_normal((CLUSTERS, DIMENSIONS))
    spread = rng.standard_normal((CLUSTERS, DIRECTIONS, DIMENSIONS)) / DIRECTIONS**0.5
    chosen = rng.integers(0, CLUSTERS, number)
    made = np.empty((number, DIMENSIONS), np.float32)
    for cluster in range(CLUSTERS):
        here = np.flatnonzero(chosen == cluster)
        along = rng.standard_normal((len(here), DIRECTIONS)) @ spread[cluster]
        made[here] = 0.5 * centres[cluster] + along
    made += 0.3 * rng.standard_normal(made.shape).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def words(rng: np.random.Generator, number: int, length: int) -> list[str]:
    """Texts of made-up words, frequent ones often."""
    odds = 1 / np.arange(1, VOCABULARY + 1)
    drawn = rng.choice(VOCABULARY, (number, length), p=odds / odds.sum())
    return [" ".join(f"word{one:x}" for one in row) for row in drawn]


def entry(number: int, text: str, vector: Array) -> Entry:
    """A document of one passage."""
    document = Document(text, id=f"{number}", metadata={"part": number % 10})
    return Entry(document, [Passage(text, 0, len(text))], vector[np.newaxis])


async def fill(index: Index, texts: Sequence[str], made: Array) -> tuple[float, float]:
    """Put all in, and tidy; the seconds of each."""
    began_s = time.perf_counter()
    for first in range(0, len(texts), BATCH):
        batch = range(first, min(first + BATCH, len(texts)))
        await index.put([entry(number, texts[number], made[number]) for number in batch])
    put_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    await index.tidy()
    return put_s, time.perf_counter() - began_s


async def recall(index: Index, queries: Sequence[Query], made: Array) -> float:
    """The share of the exact search's best that the vector part finds."""
    found = 0
    for query in queries:
        exact = np.argsort(-(made @ np.asarray(query.vector, np.float32)))[:TOP]
        hits = await index.search(replace(query, mode="vector"))
        found += len({f"{one}" for one in exact} & {hit.document for hit in hits})
    return found / (TOP * len(queries))


async def times_ms(index: Index, queries: Sequence[Query]) -> str:
    """Median and 95th percentile, one query after the other, after some to warm up; and the
    processor time of one, which others on the machine change little."""
    for query in queries[:WARM_UP]:
        await index.search(query)
    taken: list[float] = []
    cpu_s = time.process_time()
    for query in queries:
        began_s = time.perf_counter()
        await index.search(query)
        taken.append(1_000 * (time.perf_counter() - began_s))
    cpu_ms = 1_000 * (time.process_time() - cpu_s) / len(queries)
    return f"{np.median(taken):.1f} | {np.percentile(taken, 95):.1f} | {cpu_ms:.1f}"


async def measure(folder: Path, num_passages: int, num_queries: int) -> None:
    """Fill an index, and print the rows of a table for its parts."""
    rng = np.random.default_rng(7)
    made = vectors(rng, num_passages + num_queries)
    held, asked = made[:num_passages], made[num_passages:]
    texts = words(rng, num_passages, WORDS)
    card = IndexCard("bench", "made-up", "sha256:0", DIMENSIONS, datetime.now(UTC).isoformat())
    index = await Indexes(folder).create(card)
    put_s, tidy_s = await fill(index, texts, held)
    said = words(rng, num_queries, WORDS_ASKED)
    queries = [Query(text, vector.tolist()) for text, vector in zip(said, asked, strict=True)]
    print(f"put {put_s:.1f} s, tidy {tidy_s:.1f} s, recall@{TOP} of the vector part", end=" ")
    print(f"{await recall(index, queries, held):.3f}")
    print(f"load of the machine {os.getloadavg()[0]:.1f}")
    print("| search | p50, ms | p95, ms | processor, ms |\n|---|---|---|---|")
    for mode in MODES:
        print(f"| {mode} | {await times_ms(index, [replace(one, mode=mode) for one in queries])} |")
    tenth = parsed({"part": 3})
    filtered = [replace(one, conditions=tenth) for one in queries]
    print(f"| hybrid, a tenth of the documents | {await times_ms(index, filtered)} |")


def main() -> None:
    """Measure once, in a folder that goes away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), options.passages, options.queries))


if __name__ == "__main__":
    main()
