"""Weights compressed by NNCF, by their own values or by what the model makes of texts."""

import logging
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from canteen.core.errors import ModelUnsuitable
from canteen.lifecycle.openvino_ir import MODEL
from canteen.lifecycle.quantize.formats import BUILTIN, FORMATS, Format

logger = logging.getLogger(__name__)

NUM_WINDOWS = 32
WINDOW_TOKENS = 128
# What nncf raises where it cannot do a model, or has no memory for it.
_FAILURES = (RuntimeError, ValueError, AssertionError, MemoryError)


def compress(source: Path, target: Path, form: Format) -> None:
    """Write the float model in the folder `source` to the file `target` in another format.

    Raises ModelUnsuitable where the format cannot be made of this model.
    """
    import openvino

    model = openvino.Core().read_model(source / MODEL)
    if form.mode:
        model = _compressed(model, source, form)
    # For a float file the reader asks for a 16-bit cache; 8 bits cost 0.3 % of perplexity.
    model.set_rt_info("u8", ["runtime_options", "KV_CACHE_PRECISION"])
    openvino.save_model(model, target)


def _compressed(model: Any, folder: Path, form: Format) -> Any:
    import nncf

    nncf.set_log_level(logging.ERROR)
    options: dict[str, Any] = dict(form.options)
    if form.is_grouped:
        options["group_size"] = form.group_size or -1
        # Rows that it does not divide get the largest group that does.
        options["advanced_parameters"] = nncf.AdvancedCompressionParameters(
            group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST
        )
    if form.calibration:
        windows = token_windows(folder, calibration_text(form.calibration))
        options |= {"dataset": nncf.Dataset(windows, _inputs), "subset_size": len(windows)}
    mode = nncf.CompressWeightsMode(form.mode)
    try:
        return nncf.compress_weights(model, mode=mode, **options)
    except _FAILURES as exc:
        logger.warning("compressing the weights failed", exc_info=exc)
        raise refusal(form, exc) from exc


def refusal(form: Format, cause: Exception) -> ModelUnsuitable:
    """What is said of a format that could not be made."""
    if isinstance(cause, MemoryError) or "bad_alloc" in str(cause):
        return ModelUnsuitable(
            f"there is too little memory to bring the weights of this model into {form.name}; "
            "end what else runs, or choose a smaller model",
            code="not_enough_memory",
        )
    others = ", ".join(name for name in FORMATS if name != form.name)
    return ModelUnsuitable(
        f"the weights of this model cannot be brought into {form.name}; "
        f"choose another format: {others}"
    )


def calibration_text(calibration: str) -> str:
    """The texts to calibrate by: a file's, or for `builtin` tales in the public domain."""
    if calibration == BUILTIN:
        text = files("canteen.lifecycle.quantize").joinpath("calibration.txt")
        return text.read_text("utf-8")
    try:
        return Path(calibration).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ModelUnsuitable("the calibration texts cannot be read") from exc


def token_windows(folder: Path, text: str) -> list[list[int]]:
    """Windows of the text as the tokenizer in `folder` cuts it, evenly drawn from all of it.

    Raises ModelUnsuitable where there is not one whole window.
    """
    import openvino_genai

    tokenizer = openvino_genai.Tokenizer(str(folder))
    ids = [int(one) for one in tokenizer.encode(text, add_special_tokens=False).input_ids.data[0]]
    num_whole = len(ids) // WINDOW_TOKENS
    if num_whole == 0:
        raise ModelUnsuitable(
            f"the calibration texts have {len(ids)} tokens; give at least {WINDOW_TOKENS}, "
            f"better {NUM_WINDOWS * WINDOW_TOKENS:,}"
        )
    count = min(num_whole, NUM_WINDOWS)
    starts = [number * num_whole // count * WINDOW_TOKENS for number in range(count)]
    return [ids[start : start + WINDOW_TOKENS] for start in starts]


def _inputs(window: Sequence[int]) -> Mapping[str, Any]:
    """What a model with state takes, for one sequence from its beginning."""
    import numpy as np

    ids = np.array([window], np.int64)
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "position_ids": np.arange(ids.shape[1], dtype=np.int64)[None],
        "beam_idx": np.zeros(1, np.int32),
    }
