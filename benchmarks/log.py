"""Rows of LOG.md: what was measured, when, at which commit and on what."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

LOG = Path(__file__).parent / "LOG.md"


def add(heading: str, *cells: str) -> None:
    """Print a row and put it at the end of the first table under a heading of LOG.md."""
    line = row(*cells)
    print(line, flush=True)
    lines = LOG.read_text().splitlines()
    at = lines.index(f"## {heading}")
    while not lines[at].startswith("|"):
        at += 1
    while at < len(lines) and lines[at].startswith("|"):
        at += 1
    LOG.write_text("\n".join([*lines[:at], line, *lines[at:]]) + "\n")


def row(*cells: str) -> str:
    """A row of a table, with the date, the commit and the machine before the cells."""
    return f"| {' | '.join([f'{datetime.now(UTC):%Y-%m-%d}', commit(), _machine(), *cells])} |"


def commit() -> str:
    """The commit that is checked out, in short."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"
