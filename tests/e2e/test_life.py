"""A model's whole life as one script: trained, tuned, quantized, promoted, served, and told of."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import serving

SCRIPT = Path(__file__).parents[2] / "recipes" / "life.sh"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eaten(environ: Mapping[str, str], by: str) -> list[dict[str, Any]]:
    """What the ledger of a home has, summed."""
    command = [*serving.CANTEEN, "footprint", "--by", by, "--json"]
    told = subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True)
    sums: list[dict[str, Any]] = json.loads(told.stdout)["sums"]
    return sums


# What is done to the small one takes seconds, and to the default one minutes.
@pytest.mark.parametrize(
    "tuned", ["tiny:life", pytest.param("smollm2:135m", marks=pytest.mark.slow)]
)
@pytest.mark.timeout(900)
def test_a_model_lives_from_its_texts_to_its_receipts(model_home_copy: Path, tuned: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    told = {"PATH": path, "SIZE": "small", "TUNED": tuned, "CANTEEN_PORT": str(free_port())}
    environ = serving.plain_environ(model_home_copy, told)

    lived = subprocess.run([SCRIPT], env=environ, capture_output=True, text=True, check=False)

    assert lived.returncode == 0, lived.stdout + lived.stderr
    answer, receipts = lived.stdout.split("== the receipts")
    assert '"label":' in answer
    assert '"phase":"inference"' in answer.replace(" ", "")
    assert receipts.replace(" ", "").count('"phase":"train"') == 2
    phases = {one["phase"]: one["energy_uj"] for one in eaten(environ, "phase")}
    assert min(phases["train"], phases["prefill"], phases["decode"]) > 0
    requests = {one["model"]: one["requests"] for one in eaten(environ, "model")}
    for name in ("tiny:life", "mood:candidate", "mood:latest"):
        assert requests[name] > 0
