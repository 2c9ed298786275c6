"""Progress: bars on a terminal, a line for each step elsewhere."""

import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from canteen.cli.show_progress import show
from canteen.core.model import Progress
from tests.serving import plain_environ


async def steps() -> AsyncIterator[Progress]:
    yield Progress("downloading", "sha256:1", 1, 2)
    yield Progress("downloading", "sha256:1", 2, 2)
    yield Progress("success")


async def test_without_a_terminal_each_step_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    await show(steps())

    assert capsys.readouterr().err == "downloading\nsuccess\n"


async def test_quiet_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    await show(steps(), is_quiet=True)

    assert capsys.readouterr().err == ""


def all_of(terminal: int) -> bytes:
    """What was shown; the longer it took, the more it is, and one read gives only so much."""
    shown = b""
    # Where nobody is at the other end any more, that is how the end is told.
    with suppress(OSError):
        while piece := os.read(terminal, 65536):
            shown += piece
    return shown


def test_on_a_terminal_there_are_bars(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "canteen", "pull", "echo"]
    environ = plain_environ(tmp_path / "home", {"TERM": "xterm", "COLUMNS": "80"})

    subprocess.run(command, env=environ, stdout=theirs, stderr=theirs, check=True, timeout=60)

    os.close(theirs)
    shown = all_of(ours).decode()
    os.close(ours)
    assert "━" in shown
    assert "echo:latest is in the store" in shown
