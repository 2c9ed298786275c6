"""A stand-in for the program that makes another GGUF file: the source backwards."""

import json
import sys
from pathlib import Path


def main() -> None:
    _, kind, source, made = sys.argv
    sys.stdout.write(json.dumps({"status": "quantizing"}) + "\n")
    if kind == "q2_k":
        sys.stdout.write(json.dumps({"error": "odd weights", "code": "model_unsuitable"}) + "\n")
        sys.exit(1)
    if kind == "q3_k_m":
        sys.stderr.write("No space left on device")
        sys.stdout.write(json.dumps({"error": "failed", "code": "prepare_failed"}) + "\n")
        sys.exit(1)
    Path(made).write_bytes(Path(source).read_bytes()[::-1])
    sys.stdout.write(json.dumps({"made": kind}) + "\n")


if __name__ == "__main__":
    main()
