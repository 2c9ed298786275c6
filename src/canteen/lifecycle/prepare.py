"""Preparing a model: from the files as they were published to a folder that an engine loads.

As a program (`python -m canteen.lifecycle.prepare [--engine NAME] [--adapter FILE]
[--adapter-of FOLDER] [--format NAME] [--group-size N] [--calibration FILE] SOURCE OUT`) it prints
its progress as JSON lines, and last the Prepared, or an object with `error` and `code`.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from canteen.core.errors import CanteenError, ModelUnsuitable
from canteen.core.model import Prepared, Progress
from canteen.lifecycle import lora_adapter, program
from canteen.lifecycle.engine_choice import AUTO
from canteen.lifecycle.quantize import formats
from canteen.lifecycle.quantize.formats import DEFAULT, FORMATS, Format

Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a GGUF file is to be prepared: by which engine's way (or `auto`), in which format of its
    weights, with which LoRA adapters, GGUF files that llamacpp puts on the model. `model` is the
    prepared folder of the model that a source is a LoRA adapter of."""

    engine: str = AUTO
    form: Format = FORMATS[DEFAULT]
    adapters: Sequence[Path] = ()
    model: Path | None = None


USUAL = Wanted()


def prepare(source: Path, out: Path, report: Report, wanted: Wanted = USUAL) -> Prepared:
    """Prepare a GGUF file, or a folder of OpenVINO IR, of safetensors or of an adapter, into `out`.

    Only of a GGUF file can anything be chosen. Raises ModelUnsuitable for what no engine here
    runs; `out` is then to be thrown away.
    """
    out.mkdir(parents=True, exist_ok=True)
    if wanted.model:
        return lora_adapter.from_peft(source, out, wanted.model)
    if source.is_file():
        return _from_gguf(source, out, report, wanted)
    if wanted.form.tag or wanted.adapters:
        raise ModelUnsuitable(
            "the weights of this model are served as they were published; "
            "a format can be chosen for one that came as a GGUF file"
        )
    return _kind_of(source)(source, out, report)


def _from_gguf(source: Path, out: Path, report: Report, wanted: Wanted) -> Prepared:
    from canteen.lifecycle import engine_choice, generator, llamacpp_model
    from canteen.lifecycle.gguf_source import GgufSource

    gguf = GgufSource(source)
    # Formats are made by OpenVINO's tools, and adapters are put on by llama.cpp.
    asked = "openvino" if wanted.form.tag else "llamacpp" if wanted.adapters else wanted.engine
    engine, why = engine_choice.choose(gguf, asked, engine_choice.here())
    report(Progress(f"for {engine}, as {why}"))
    if engine == "llamacpp":
        return llamacpp_model.from_gguf(gguf, out, wanted.adapters)
    return generator.from_gguf(gguf, out, report, wanted.form)


def _kind_of(source: Path) -> Callable[[Path, Path, Report], Prepared]:
    from canteen.lifecycle import embedder, generator, safetensors_generator

    if not source.exists():
        raise ModelUnsuitable("there is nothing at the given path")
    if (source / lora_adapter.CONFIG).exists():
        raise ModelUnsuitable("this is a LoRA adapter; say of which model with --adapter-of MODEL")
    if (source / "openvino_model.xml").exists():
        return generator.from_ir
    if safetensors_generator.is_generator(source):
        return safetensors_generator.from_safetensors
    if (source / "model.safetensors").exists() and (source / "tokenizer.json").exists():
        return embedder.from_safetensors
    raise ModelUnsuitable(
        "the folder has neither openvino_model.xml, nor a config.json of a causal language model "
        "(generators), nor model.safetensors with tokenizer.json (an embedder)"
    )


def main(arguments: list[str], write: Callable[[str], object]) -> int:
    """The program; returns its exit status."""

    def line(value: dict[str, Any]) -> None:
        write(json.dumps(value) + "\n")

    told = _parser().parse_args(arguments)
    try:
        form = formats.read(told.format, told.group_size, told.calibration)
        wanted = Wanted(told.engine, form, told.adapter, told.adapter_of)
        prepared = prepare(told.source, told.out, lambda step: line(asdict(step)), wanted)
    except CanteenError as exc:
        line({"error": exc.message, "code": exc.code})
        return 1
    line(asdict(prepared))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("canteen.lifecycle.prepare")
    parser.add_argument("--engine", default=AUTO)
    parser.add_argument("--adapter", type=Path, action="append", default=[])
    parser.add_argument("--adapter-of", type=Path)
    parser.add_argument("--format", default=DEFAULT)
    parser.add_argument("--group-size", type=int)
    parser.add_argument("--calibration")
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    return parser


if __name__ == "__main__":
    # NNCF takes seconds to load it where it is installed, and needs none of it here.
    cast("dict[str, Any]", sys.modules)["torch"] = None
    program.run(main)
