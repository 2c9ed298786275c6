"""A training as a program of its own: `python -m canteen.lifecycle.training FOLDER`.

Reads FOLDER/spec.json, prints what happens as JSON lines, and last its result, or an object
with `error` and `code`.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from canteen.core.errors import CanteenError
from canteen.lifecycle import program
from canteen.lifecycle.training.specs import Finetune, Train


def run(folder: Path, tell: Callable[[Mapping[str, Any]], object]) -> Mapping[str, Any]:
    """Do what the folder's specification asks for; raises CanteenError."""
    inputs = json.loads((folder / "spec.json").read_text("utf-8"))
    if inputs["kind"] == "finetune":
        from canteen.lifecycle.training import finetune

        return finetune.run(folder, Finetune(**inputs["spec"]), inputs, tell)
    from canteen.lifecycle.training import scratch

    return scratch.run(folder, Train(**inputs["spec"]), inputs, tell)


def main(arguments: list[str], write: Callable[[str], object]) -> int:
    """The program; returns its exit status."""

    def line(value: Mapping[str, Any]) -> None:
        write(json.dumps(value) + "\n")

    try:
        result = run(Path(arguments[0]), line)
    except CanteenError as exc:
        line({"error": exc.message, "code": exc.code})
        return 1
    line({"result": result})
    return 0


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    # How long OpenMP's threads spin before they sleep. By default it is so long that training is
    # ten times slower beside one busy process; without it, twice as slow with all cores to itself.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    program.run(main)
