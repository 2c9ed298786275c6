"""The forms an embedder can take, how true each is to float32, and how fast."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import openvino
from tokenizers import Tokenizer

from canteen.core.batching import by_length

MIN_COSINE = 0.995
# Two forms are told apart in speed only beyond this: the measurement is short and hosts are noisy.
SPEED_MARGIN = 1.1
MAX_BATCHED_TOKENS = 512
ROUNDS = 3

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
# Processors without bfloat16 take float32 for it.
HALF = {"INFERENCE_PRECISION_HINT": "bf16", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
INT8 = {"INFERENCE_PRECISION_HINT": "bf16", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "32"}


@dataclass(frozen=True, slots=True)
class Form:
    """A model with the arithmetic it is to run in."""

    name: str
    model: Any
    properties: dict[str, str]

    def save(self, path: Path) -> None:
        """Write the model; matrices that are still float take 16 bits, unless all are exact."""
        openvino.save_model(self.model, path, compress_to_fp16=self.properties != EXACT)


class Texts:
    """Tokens of the texts that forms are compared on."""

    def __init__(self, tokenizer: Path, context_length: int, texts: Sequence[str]) -> None:
        cutter = Tokenizer.from_file(str(tokenizer))
        cutter.no_padding()
        cutter.enable_truncation(context_length)
        self._ids = [encoding.ids for encoding in cutter.encode_batch(list(texts))]

    def __len__(self) -> int:
        return len(self._ids)

    def vectors(self, request: Any) -> Any:
        """Vectors of all texts, shape (texts, dimensions)."""
        rows: list[Any] = [None] * len(self._ids)
        for batch in by_length([len(ids) for ids in self._ids], MAX_BATCHED_TOKENS):
            ids = np.zeros((len(batch), len(self._ids[batch[-1]])), np.int64)
            mask = np.zeros_like(ids)
            for row, index in enumerate(batch):
                ids[row, : len(self._ids[index])] = self._ids[index]
                mask[row, : len(self._ids[index])] = 1
            found = request.infer({"input_ids": ids, "attention_mask": mask})["embeddings"]
            for row, index in enumerate(batch):
                rows[index] = found[row].copy()
        return np.stack(rows)


def choose(model: Any, texts: Texts, clock: Callable[[], float]) -> tuple[Form, dict[str, Any]]:
    """The fastest form of `model` that stays true, and the quality record of all of them."""
    forms = (
        Form("float32", model, EXACT),
        Form("float16", model, HALF),
        Form("int8 weights", _int8(model), INT8),
    )
    requests = [
        openvino.Core().compile_model(form.model, "CPU", form.properties).create_infer_request()
        for form in forms
    ]
    found = [texts.vectors(request) for request in requests]
    speeds = _texts_per_s(texts, requests, clock)
    records = [
        {"form": form.name, **_truth(vectors, found[0]), "texts_per_s": speed}
        for form, vectors, speed in zip(forms, found, speeds, strict=True)
    ]
    best = pick(records)
    record = {"num_texts": len(texts), **records[best], "forms": records}
    return forms[best], record


def pick(records: Sequence[dict[str, Any]]) -> int:
    """Which record is the fastest that is true; earlier ones win a tie."""
    best = 0
    for number, record in enumerate(records):
        is_faster = record["texts_per_s"] > records[best]["texts_per_s"] * SPEED_MARGIN
        if record["min_cosine"] >= MIN_COSINE and is_faster:
            best = number
    return best


def _int8(model: Any) -> Any:
    """Int8 matrices. The table of words stays float: its reading costs no time.

    Int8 activations throughout (nncf.quantize) were tried and are not true: 0.95 to 0.96.
    """
    import logging

    import nncf

    nncf.set_log_level(logging.ERROR)
    return nncf.compress_weights(
        model.clone(),
        mode=nncf.CompressWeightsMode.INT8_SYM,
        ignored_scope=nncf.IgnoredScope(types=["Gather"]),
    )


def _texts_per_s(texts: Texts, requests: Sequence[Any], clock: Callable[[], float]) -> list[float]:
    """Median speed of each, measured in turns so that a busy host slows all alike."""
    times: list[list[float]] = [[] for _ in requests]
    for _ in range(ROUNDS):
        for taken, request in zip(times, requests, strict=True):
            started_s = clock()
            texts.vectors(request)
            taken.append(clock() - started_s)
    return [len(texts) / median(taken) for taken in times]


def _truth(vectors: Any, reference: Any) -> dict[str, float]:
    """How near unit vectors are to their reference, and what changes between pairs of texts."""
    change = np.abs(vectors @ vectors.T - reference @ reference.T)
    return {
        "min_cosine": float((vectors * reference).sum(axis=1).min()),
        "max_similarity_change": float(change.max()),
    }
