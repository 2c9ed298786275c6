"""Preparing a generative model for the openvino engine."""

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from canteen.core.errors import ModelUnsuitable
from canteen.core.model import Prepared, Progress
from canteen.lifecycle import openvino_ir, perplexity
from canteen.lifecycle.as_served import ServedModel
from canteen.lifecycle.files import share
from canteen.lifecycle.gguf_source import GgufSource
from canteen.lifecycle.ir_facts import IrFacts
from canteen.lifecycle.quantize.compression import compress
from canteen.lifecycle.quantize.formats import DEFAULT, FORMATS, Format

Report = Callable[[Progress], None]

MAX_EXACT_PARAMETERS = 2_000_000_000


def from_gguf(
    gguf: GgufSource, out: Path, report: Report, form: Format = FORMATS[DEFAULT]
) -> Prepared:
    """Dequantize, convert, bring the weights into a format, and measure what that cost."""
    gguf.check_for_openvino()
    tokens = gguf.tokens()
    with TemporaryDirectory(prefix="float16-", dir=out) as name:
        exact = Path(name)
        _convert(gguf, exact, report)
        report(Progress("compressing"))
        compress(exact, out / openvino_ir.MODEL, form)
        openvino_ir.copy_tokenizer(exact, out)
        report(Progress("measuring"))
        windows = perplexity.folder_windows(out)
        before = {
            "bytes_before": gguf.path.stat().st_size,
            "perplexity_before": perplexity.perplexity(
                exact / openvino_ir.MODEL, windows, _reference_mode(gguf)
            ),
        }
    openvino_ir.write_generation_config(out, tokens)
    template = openvino_ir.describe(out, gguf.context_length, tokens)
    return Prepared(
        kind="generator",
        engine="openvino",
        format="gguf",
        architecture=gguf.architecture,
        num_parameters=gguf.num_parameters,
        context_length=gguf.context_length,
        size_bytes=openvino_ir.size_bytes(out),
        # What the default format is made from is of more interest than that it is int8.
        quantization=form.name.upper() if form.tag else gguf.quantization,
        embedding_length=int(gguf.own("embedding_length", 0)),
        template=template,
        license=str(gguf.value("general.license", "")),
        metadata=gguf.metadata(),
        quality={**before, **_measured(out), "weights_after": form.label},
    )


def _convert(gguf: GgufSource, exact: Path, report: Report) -> None:
    """Leave the dequantized model in `exact` as IR in F16, with its tokenizer."""
    float16 = exact / "model.gguf"
    gguf.write_dequantized(float16, lambda n, of: report(Progress("dequantizing", "", n, of)))
    report(Progress("converting"))
    openvino_ir.convert(float16)
    float16.unlink()


def _measured(folder: Path) -> dict[str, Any]:
    """The part of the quality record that is about the prepared folder."""
    windows = perplexity.folder_windows(folder)
    model = ServedModel(folder)
    after = model.perplexity(windows)
    if not math.isfinite(after):
        raise ModelUnsuitable("the converted model computes no numbers; its weights are damaged")
    return {
        "bytes_after": openvino_ir.size_bytes(folder),
        "perplexity_after": after,
        "decode_tokens_per_s": model.decode_tokens_per_s(windows[0], time.perf_counter),
    }


def from_ir(source: Path, out: Path, report: Report) -> Prepared:
    """Take a folder of OpenVINO IR as it is, and measure it."""
    for name in (openvino_ir.TOKENIZER, openvino_ir.DETOKENIZER):
        if not (source / name).exists():
            raise ModelUnsuitable(f"the folder has no {name}; convert its tokenizer first")
    report(Progress("copying"))
    shutil.copytree(source, out, dirs_exist_ok=True, copy_function=share)
    facts = IrFacts(out)
    try:
        template = openvino_ir.describe(out, facts.context_length, facts.tokens())
        report(Progress("measuring"))
        quality = _measured(out)
    except RuntimeError as exc:
        raise ModelUnsuitable(
            "the openvino engine cannot run this folder; it must be a text generator "
            "with its tokenizer, as optimum-cli export openvino makes it"
        ) from exc
    return Prepared(
        kind="generator",
        engine="openvino",
        format="openvino",
        architecture=facts.architecture,
        num_parameters=facts.num_parameters,
        context_length=facts.context_length,
        size_bytes=openvino_ir.size_bytes(out),
        quantization=facts.quantization,
        embedding_length=facts.embedding_length,
        template=template,
        quality=quality,
    )


def _reference_mode(gguf: GgufSource) -> dict[str, str]:
    """Float32, unless the model is so large that its weights in float32 might not fit."""
    return perplexity.EXACT if gguf.num_parameters < MAX_EXACT_PARAMETERS else {}
