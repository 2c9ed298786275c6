"""Preparing tells nobody: watched in a plain process, without pytest and without CI."""

import os
import subprocess
import sys
from pathlib import Path

from .tiny_model import TinyModel

# Forked children keep the hook.
WATCHED = """
import runpy, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        sys.stderr.write(f"WATCHED {event} {arguments}\\n")

sys.addaudithook(watch)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def run_watched(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
    environ = {name: os.environ[name] for name in kept if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments],
        env={**environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_watch_sees_connections(tmp_path: Path) -> None:
    (tmp_path / "caller.py").write_text("import socket; socket.socket().connect_ex(('127.1', 9))")

    seen = subprocess.run(
        [sys.executable, "-c", WATCHED, "caller"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "WATCHED socket.connect" in seen.stderr


def test_preparing_connects_to_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    source = TinyModel("llama").write(tmp_path / "tiny")

    ended = run_watched(home, "canteen.lifecycle.prepare", str(source), str(tmp_path / "out"))

    assert ended.returncode == 0
    assert "WATCHED" not in ended.stderr
    assert not list(home.rglob("*telemetry*"))
