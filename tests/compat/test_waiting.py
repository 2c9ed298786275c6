"""What takes a minute of silence; the other tests of this folder run meanwhile."""

import time

from tests.compat.conftest import Idle

IDLE_S = 61.0


def test_a_connection_that_was_idle_for_a_minute_is_still_good(idle: Idle) -> None:
    """Item 19 of the conformance checklist."""
    time.sleep(max(0.0, idle.since_s + IDLE_S - time.monotonic()))

    idle.connection.send(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert idle.connection.receive().status == 200
