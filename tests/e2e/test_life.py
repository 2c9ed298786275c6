"""A model's whole life as one script: trained, tuned, quantized, promoted, served, and told of."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import serving

SCRIPT = Path(__file__).parents[2] / "recipes" / "life.sh"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.timeout(900)
def test_a_model_lives_from_its_texts_to_its_receipts(model_home_copy: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    told = {"PATH": path, "SIZE": "small", "CANTEEN_PORT": str(free_port())}
    environ = serving.plain_environ(model_home_copy, told)

    lived = subprocess.run([SCRIPT], env=environ, capture_output=True, text=True, check=False)

    assert lived.returncode == 0, lived.stdout + lived.stderr
    asked, eaten = lived.stdout.split("== what it ate and drank")
    assert '"label":' in asked
    assert "train" in eaten
    for name in ("tiny:life", "mood:candidate", "mood:latest"):
        assert name in eaten
