"""What takes a minute of silence."""

import time

import pytest

from tests.compat.sockets import connected
from tests.serving import Server

IDLE_S = 61.0


@pytest.mark.slow
def test_a_connection_that_was_idle_for_a_minute_is_still_good(echo_server: Server) -> None:
    """Item 19 of the conformance checklist."""
    with connected(echo_server.port) as connection:
        connection.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.receive().status == 200
        time.sleep(IDLE_S)

        connection.send(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")

        assert connection.receive().status == 200
