"""A stand-in for preparation, run as a program: it copies the source in small steps."""

import json
import os
import sys
import time
from pathlib import Path

STEPS = 5
PREPARED = {
    "kind": "generator",
    "engine": "openvino",
    "format": "gguf",
    "architecture": "llama",
    "num_parameters": 1,
    "context_length": 64,
    "size_bytes": 1,
    "quantization": "Q8_0",
    "quality": {"bytes_before": 1},
}


def main() -> None:
    *_, source, out = (Path(argument) for argument in sys.argv)
    files = [source] if source.is_file() else [p for p in source.rglob("*") if p.is_file()]
    data = b"".join(file.read_bytes() for file in sorted(files)) + b"prepared"
    with (out / "model.bin").open("wb") as model:
        for step in range(STEPS):
            model.write(data[step::STEPS])
            model.flush()
            say({"status": "copying", "completed": step + 1, "total": STEPS})
            time.sleep(float(os.environ.get("PLAIN_PREPARE_STEP_S", "0")))
    if b"too odd" in data:
        say({"error": "odd weights; pip install 'canteen-llm[odd]'", "code": "model_unsuitable"})
        sys.exit(1)
    if b"crashes" in data:
        os.abort()
    engine = sys.argv[sys.argv.index("--engine") + 1] if "--engine" in sys.argv else "openvino"
    say(PREPARED | {"engine": engine})


def say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
