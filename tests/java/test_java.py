"""The Java client and its examples, built with the JDK alone, against a running service."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.serving import Server

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "java"

pytestmark = pytest.mark.skipif(
    shutil.which("javac") is None, reason="no JDK is installed (make test as root does)"
)


def make(folder: Path, target: str, variables: Mapping[str, str] | None = None) -> str:
    """What a target of a folder's Makefile prints; it must come to a good end."""
    given = [f"{name}={value}" for name, value in (variables or {}).items()]
    done = subprocess.run(
        ["make", "--no-print-directory", "-C", str(folder), target, *given],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def echo(server: Server) -> dict[str, str]:
    return {"URL": server.url, "MODEL": "echo", "EMBEDDER": "echo-embed"}


def test_the_client_passes_its_own_tests() -> None:
    assert " 0 failed" in make(CLIENT, "test")


def test_the_client_is_documented_without_a_warning() -> None:
    make(CLIENT, "docs")


def test_every_operation_of_the_client_works(echo_server: Server) -> None:
    assert " 0 failed" in make(CLIENT, "service-test", echo(echo_server))
