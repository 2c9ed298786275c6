"""What a light command may load. The layers themselves are checked by `make layers`."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "fastapi", "gguf", "huggingface_hub", "nncf", "numpy", "openvino", "openvino_genai", "peft",
    "pydantic", "ray", "scipy", "sklearn", "starlette", "tokenizers", "torch", "transformers",
    "uvicorn", "vllm", "xllamacpp",
}  # fmt: skip
LOADED = "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"


def loaded_by(program: str) -> set[str]:
    """Top-level modules in memory at the end of a program."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{LOADED}"], capture_output=True, check=True, text=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "program",
    [
        "import canteen; canteen.__version__",
        "import canteen; canteen.LLM",
        "import runpy, sys\nsys.argv = ['canteen', '--help']\n"
        "try: runpy.run_module('canteen', run_name='__main__')\nexcept SystemExit: pass",
        "import canteen.bootstrap",
    ],
    ids=["version", "face", "help", "bootstrap"],
)
def test_no_heavy_library_is_loaded_before_it_is_needed(program: str) -> None:
    assert loaded_by(program) & HEAVY == set()
