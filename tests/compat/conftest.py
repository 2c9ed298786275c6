"""A connection that does nothing while the other tests of this folder run."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.compat.sockets import Connection, connected
from tests.serving import Server


@dataclass(frozen=True)
class Idle:
    """A connection that was used once, and when that was."""

    connection: Connection
    since_s: float


@pytest.fixture(scope="session", autouse=True)
def idle(echo_server: Server) -> Iterator[Idle]:
    """Opened before all else, so that its minute is over when somebody asks for it."""
    with connected(echo_server.port) as connection:
        connection.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.receive().status == 200
        yield Idle(connection, time.monotonic())
