"""`python -m canteen.lifecycle.promote FOLDER TEXT`: the perplexity of a text by a prepared
generator, as a line of JSON."""

import json
from collections.abc import Callable
from pathlib import Path

from canteen.core.errors import CanteenError, InvalidRequest
from canteen.lifecycle import perplexity, program


def measured(folder: Path, text: Path) -> float:
    """By token, in the arithmetic that serves it; raises InvalidRequest for a text too short."""
    from canteen.lifecycle.as_served import ServedModel

    windows = perplexity.folder_windows(folder, perplexity.beginning(text))
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
    program.run(main)
