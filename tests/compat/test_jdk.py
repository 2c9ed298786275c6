import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving import Server, set_pace

CLIENT = Path(__file__).parent / "java" / "Client.java"
JAVA = shutil.which("java")
TOKENS_PER_S = 100.0

pytestmark = pytest.mark.skipif(JAVA is None, reason="no JDK is installed (make test as root does)")


def gone(server: Server) -> set[str]:
    """Ids of the requests that the log has as 499."""
    return {record["request_id"] for record in server.records() if record["status"] == 499}


def test_the_http_client_of_the_jdk_posts_streams_and_cancels_with_its_defaults(
    echo_home: Path, serve: Callable[..., Server]
) -> None:
    server = serve(set_pace(echo_home, tokens_per_s=TOKENS_PER_S))

    assert JAVA is not None
    ran = subprocess.run(
        [JAVA, str(CLIENT), server.url], capture_output=True, text=True, timeout=120
    )
    deadline_s = time.monotonic() + 30
    while len(gone(server)) < 2 and time.monotonic() < deadline_s:
        time.sleep(0.02)

    assert ran.returncode == 0, ran.stderr
    said = dict(line.split(" ", 1) for line in ran.stdout.splitlines())
    for name in ("small", "large", "chunked", "after"):
        assert said[name].startswith("200 HTTP_1_1 "), said[name]
    assert int(said["large"].split()[-1]) > 200_000
    assert said["stream"].endswith("data: [DONE]")
    assert said["waiting"] == "cancelled true"
    assert said["streaming"] == "cancelled after an event"
    assert gone(server) == {"cancelled-waiting", "cancelled-streaming"}
