"""What is looked at before Ray is asked to join a cluster, which it tries for minutes."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from canteen.core.errors import EngineError, InvalidRequest
from canteen.engines.ray_joining import LOCAL, SETTINGS, check_address, knock, tell

HTTP_1 = b"HTTP/1.1 400 Bad Request\r\n\r\n"


@contextmanager
def says(answer: bytes) -> Iterator[str]:
    """The address of what gives one answer, whatever it is told."""

    def serve() -> None:
        caller, _ = listener.accept()
        with caller:
            caller.recv(1000)
            caller.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as threads:
        answered = threads.submit(serve)
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        answered.result()


@pytest.mark.parametrize(
    "address", ["foo", "127.0.0.1:abc", ":6379", "10.0.0.5", "ray://head:10001", "10.0.0.5:"]
)
def test_an_address_of_another_form_is_refused_with_the_form_it_has(address: str) -> None:
    with pytest.raises(InvalidRequest, match="HOST:PORT"):
        check_address(address)


@pytest.mark.parametrize("answer", [HTTP_1, b""])
def test_what_is_no_head_is_told_apart_at_once(answer: bytes) -> None:
    with says(answer) as address, pytest.raises(EngineError, match="no Ray cluster at"):
        knock(address)


def test_what_speaks_as_a_head_does_is_asked_further() -> None:
    with says(SETTINGS) as address:
        knock(address)


def test_who_has_left_a_cluster_starts_none_by_asking_for_something() -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    environ = dict(os.environ)
    tell(LOCAL, environ)

    asked = subprocess.run(
        [sys.executable, "-c", "import ray; ray.put(1)"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert asked.returncode == 1
    assert "Ray has not been started" in asked.stderr
