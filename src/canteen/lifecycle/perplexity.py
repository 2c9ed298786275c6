"""Perplexity of a generative model on the text that ships with the package, or another."""

import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from canteen.core.errors import InvalidRequest

WINDOW_TOKENS = 512
NUM_WINDOWS = 12
MOST_TOKENS = WINDOW_TOKENS * NUM_WINDOWS
# Of a text of the caller's own: tokens of prose have four or five characters, and few have 40.
MOST_CHARACTERS = 40 * MOST_TOKENS
# Rows whose log-probabilities are made at once: a large vocabulary needs 0.6 MB a row.
ROWS = 64

# The numeric mode in which a model is measured for what its weights say.
EXACT = {
    "INFERENCE_PRECISION_HINT": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
    "KV_CACHE_PRECISION": "f32",
}


def quality_text() -> str:
    """English prose in the public domain."""
    return files("canteen.lifecycle").joinpath("quality.txt").read_text("utf-8")


def beginning(path: Path) -> str:
    """As much of a text as the windows can need; raises InvalidRequest where it is not UTF-8."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MOST_CHARACTERS)
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"'{path.name}' is not UTF-8 text", param="gate") from exc


def windows(token_ids: Sequence[int], bos_token_id: int | None = None) -> list[list[int]]:
    """The first NUM_WINDOWS windows; `bos_token_id`, if given, begins each of them."""
    start = [] if bos_token_id is None else [bos_token_id]
    step = WINDOW_TOKENS - len(start)
    whole = len(token_ids) // step
    return [
        start + list(token_ids[i * step : (i + 1) * step]) for i in range(min(whole, NUM_WINDOWS))
    ]


def perplexity(model: Any, token_windows: Sequence[Sequence[int]], mode: dict[str, str]) -> float:
    """Perplexity of the second half of each window, given what stands before it.

    `model` is an OpenVINO model with state, or the path of one; `mode` sets its arithmetic.
    """
    import openvino

    request = openvino.Core().compile_model(model, "CPU", mode).create_infer_request()
    losses = [_window_loss(request, window) for window in token_windows]
    return math.exp(sum(losses) / len(losses))


def folder_windows(folder: Path, text: str | None = None) -> list[list[int]]:
    """The text (or the one that ships with the package) as the tokenizer in `folder` cuts it,
    beginning as the model's prompts do."""
    import openvino_genai

    tokenizer = openvino_genai.Tokenizer(str(folder))
    text = quality_text() if text is None else text
    plain = tokenizer.encode(text, add_special_tokens=False).input_ids.data[0]
    marked = tokenizer.encode("a", add_special_tokens=True).input_ids.data[0]
    bos = tokenizer.get_bos_token_id()
    has_bos = len(marked) > 1 and int(marked[0]) == bos
    return windows([int(i) for i in plain], bos if has_bos else None)


def _window_loss(request: Any, window: Sequence[int]) -> float:
    """Mean negative log-likelihood of the window's second half."""
    import numpy as np

    ids = np.array([window], np.int64)
    request.reset_state()
    request.infer(
        {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "position_ids": np.arange(ids.shape[1], dtype=np.int64)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
    )
    logits = request.get_tensor("logits").data[0]
    half = len(window) // 2
    # Position i predicts token i + 1.
    places = range(half - 1, len(window) - 1, ROWS)
    total = sum(_loss(logits, ids[0], i, min(i + ROWS, len(window) - 1)) for i in places)
    return total / (len(window) - half)


def _loss(logits: Any, ids: Any, start: int, stop: int) -> float:
    """Summed loss of the tokens that positions `start` to `stop` predict."""
    import numpy as np

    rows = logits[start:stop].astype(np.float64)
    top = rows.max(axis=1)
    log_sums = np.log(np.exp(rows - top[:, None]).sum(axis=1)) + top
    chosen = rows[np.arange(stop - start), ids[start + 1 : stop + 1]]
    return float((log_sums - chosen).sum())
