"""`python -m canteen.lifecycle.promote FOLDER TEXT`: the perplexity of a text by a prepared
generator, as a line of JSON."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from canteen.core.errors import CanteenError, InvalidRequest
from canteen.core.telemetry_off import switch_off
from canteen.lifecycle import perplexity


def measured(folder: Path, text: Path) -> float:
    """By token, in the arithmetic that serves it; raises InvalidRequest for a text too short."""
    from canteen.lifecycle.as_served import ServedModel

    windows = perplexity.folder_windows(folder, text.read_text("utf-8"))
    if not windows:
        raise InvalidRequest(
            f"'{text.name}' is too short to measure perplexity on; it must have "
            f"{perplexity.WINDOW_TOKENS} tokens",
            param="gate",
        )
    return ServedModel(folder).perplexity(windows)


def main(arguments: list[str], write: Callable[[str], object]) -> int:
    """The program; returns its exit status."""
    try:
        told = {"perplexity": measured(Path(arguments[0]), Path(arguments[1]))}
    except CanteenError as exc:
        write(json.dumps({"error": exc.message, "code": exc.code}) + "\n")
        return 1
    write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    switch_off(os.environ, sys.modules)
    # The libraries print to standard output as they please: it becomes standard error for them.
    protocol = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.exit(main(sys.argv[1:], protocol.write))
