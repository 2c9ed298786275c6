"""The README's first command, in a fresh clone with an empty home."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests import serving

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_make_serve_does_all_the_set_up(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = serving.plain_environ(tmp_path / "home")
    with (tmp_path / "make.log").open("wb") as log:
        make = subprocess.Popen(
            ["make", "serve", f"PORT={port}"],
            cwd=clone,
            env=environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    try:
        _await_ready(f"http://127.0.0.1:{port}", make)
        answer = _ask(f"http://127.0.0.1:{port}")
    finally:
        os.killpg(make.pid, signal.SIGTERM)
        make.wait(60)

    assert answer["choices"][0]["message"]["content"].strip()
    assert b"curl" in (tmp_path / "make.log").read_bytes()


def _await_ready(url: str, make: "subprocess.Popen[bytes]") -> None:
    deadline_s = time.monotonic() + 800
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert make.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.5)


def _ask(url: str) -> dict[str, list[dict[str, dict[str, str]]]]:
    body = {"model": "smollm2:135m", "messages": [{"role": "user", "content": "hello"}]}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: dict[str, list[dict[str, dict[str, str]]]] = json.load(response)
    return answer
