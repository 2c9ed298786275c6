"""The devices that the installed llama.cpp can compute on.

As a program (`python -m canteen.engines.devices`) it prints them as JSON, so that who asks need
not load the library, which may bring a GPU's whole runtime.
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

LIBRARY = "xllamacpp"
NVIDIA = Path("/dev/nvidia0")
WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as llama.cpp names it, with the memory that is free on it, in bytes."""

    name: str
    description: str
    free_bytes: int


@cache
def gpus() -> tuple[Gpu, ...]:
    """The GPUs of this machine that llama.cpp can use; none where it is not installed. Looked at
    once: what is free then is what the planner counts with."""
    if find_spec(LIBRARY) is None:
        return ()
    try:
        told = subprocess.run(
            [sys.executable, "-m", "canteen.engines.devices"],
            capture_output=True,
            timeout=WITHIN_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        # A library that cannot be loaded uses no GPU.
        return ()
    return tuple(Gpu(**one) for one in json.loads(told.stdout.splitlines()[-1]))


def _found() -> list[Gpu]:
    import xllamacpp

    cpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    return [
        Gpu(one["name"], one["description"], int(one["memory_free"]))
        for one in xllamacpp.get_device_info()
        if one["type"] != cpu
    ]


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps([asdict(one) for one in _found()]) + "\n")
