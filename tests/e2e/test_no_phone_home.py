"""Neither preparing nor serving connects to anything but this machine.

The programs run as a user's do, without the variables by which libraries know tests and CI,
and the kernel tells what they connect to, native code included.
"""

import json
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests import serving
from tests.lifecycle.tiny_model import TinyModel

CALLS = "connect,sendto,sendmsg,sendmmsg"
ADDRESS = re.compile(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)')
ADDRESS_6 = re.compile(r'sin6_port=htons\((\d+)\).*?inet_pton\(AF_INET6, "([^"]+)"')
DNS = "53"


def tracing(log: Path) -> list[str]:
    """The command that runs another and writes down its connections, or a skip."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    command = ["strace", "-D", "-f", "--seccomp-bpf", "-e", f"trace={CALLS}", "-o", str(log)]
    if subprocess.run(["strace", "-o", "/dev/null", "true"], check=False).returncode:
        pytest.skip("strace may not trace here")
    return command


def outside(log: Path) -> list[str]:
    """Lines of the trace that name an address beyond this machine, or ask for a name."""
    found = []
    for line in log.read_text(errors="replace").splitlines():
        for port, address in ADDRESS.findall(line) + ADDRESS_6.findall(line):
            is_here = address.startswith("127.") or address in {"::1", "::ffff:127.0.0.1"}
            if not is_here or port == DNS:
                found.append(line)
    return found


def await_end_of(log: Path) -> None:
    """The tracer writes on for a moment after the traced program has ended."""
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s and not is_over(log):
        time.sleep(0.05)


def is_over(log: Path) -> bool:
    """Whether of all processes and threads in the trace it says, too, that they have ended."""
    lines = [line.split(maxsplit=1) for line in log.read_text(errors="replace").splitlines()]
    ended = {line[0] for line in lines if line[-1].startswith("+++ ")}
    return bool(lines) and ended == {line[0] for line in lines}


def test_the_trace_shows_a_connection_to_the_outside(tmp_path: Path) -> None:
    log = tmp_path / "trace"
    program = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    here = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', 9))"

    subprocess.run([*tracing(log), serving.CANTEEN[0], "-c", program], check=False)
    await_end_of(log)
    assert outside(log)

    subprocess.run([*tracing(log), serving.CANTEEN[0], "-c", here], check=False)
    await_end_of(log)
    assert not outside(log)


def test_preparing_a_model_connects_to_nothing(tmp_path: Path) -> None:
    weights = TinyModel("llama").write(tmp_path / "tiny.gguf")
    log = tmp_path / "trace"

    done = subprocess.run(
        [*tracing(log), *serving.CANTEEN, "pull", f"file:{weights}", "--name", "traced"],
        env=serving.plain_environ(tmp_path / "home", {"HOME": str(tmp_path)}),
        capture_output=True,
        text=True,
        check=False,
    )
    await_end_of(log)

    assert done.returncode == 0, done.stderr
    assert outside(log) == []


def test_serving_connects_to_nothing(model_home_copy: Path, tmp_path: Path) -> None:
    log = tmp_path / "trace"
    server = serving.start(
        model_home_copy,
        tmp_path / "serve.log",
        {"HOME": str(tmp_path)},
        command=[*tracing(log), *serving.CANTEEN],
    )
    try:
        body = {"model": "smollm2:135m", "prompt": "hello", "options": {"num_predict": 8}}
        request = urllib.request.Request(f"{server.url}/api/generate", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as response:
            lines = response.read().splitlines()
        status = server.stop()
    finally:
        serving.end(server)
    await_end_of(log)

    assert json.loads(lines[-1])["done"] is True
    assert status == 0
    assert outside(log) == []
