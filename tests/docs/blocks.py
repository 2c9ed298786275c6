"""The fenced blocks of a Markdown page."""

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block: the language it is marked with, and its text."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    return [Block(*found.groups()) for found in FENCE.finditer(page.read_text())]
