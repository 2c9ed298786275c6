"""A pull that is killed at any instant leaves a valid store, and the next one goes on."""

import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from canteen.core.model import ModelCard
from canteen.runtime import blobs
from canteen.runtime.catalog import Catalog
from canteen.runtime.pull import RECORD
from tests.runtime.conftest import MakeWheel, make_wheel, programs

__all__ = ["make_wheel", "programs"]

SEED = 20261123
# In this many homes at once, which is as many processors as CI has.
NUM_HOMES = 2
# About every other one is killed, and fewer where the machine was slow while they were timed.
NUM_PULLS_OF_A_HOME = 40
NUM_KILLS_OF_THE_DEFAULT_MODEL = 3
PREPARE_STEP_S = "0.04"
DEFAULT_MODEL = "smollm2:135m"


def start(home: Path, programs: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A pull in a process group of its own."""
    command = [sys.executable, str(programs / "pull_program.py"), str(home), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)


def finish(process: subprocess.Popen[bytes]) -> str:
    """The last status of a pull that is left alone."""
    output, _ = process.communicate(timeout=200)
    return str(json.loads(output.splitlines()[-1]).get("status"))


def kill(process: subprocess.Popen[bytes], is_whole_group: bool) -> None:
    """Kill a pull; without its children if not `is_whole_group`."""
    if is_whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()


def check_store(home: Path, caplog: pytest.LogCaptureFixture) -> list[ModelCard]:
    """Every model that is visible is whole; gives them."""
    catalog = Catalog(home)
    cards = catalog.list()
    assert "damaged" not in caplog.text
    for blob in home.glob("models/blobs/sha256-*"):
        assert blobs.digest_of(blob) == blob.name.replace("-", ":")
    for folder in home.glob("prepared/sha256-*"):
        assert json.loads((folder / RECORD).read_text())["kind"] == "generator"
        size_bytes = catalog.blob_path(folder.name.rsplit("-", 1)[0].replace("-", ":"))
        assert blobs.size_bytes(folder) > blobs.size_bytes(size_bytes)
    for card in cards:
        assert catalog.has_blob(card.digest)
        assert catalog.path(card).is_dir()
    return cards


def scraps(home: Path) -> list[Path]:
    """What should not outlive a pull that went well."""
    patterns = ("models/staging/*", "*/.*", "models/*/.*", "models/*/*/.*")
    return [path for pattern in patterns for path in home.glob(pattern)]


def test_the_store_survives_kills_at_any_instant(
    tmp_path: Path,
    programs: Path,
    make_wheel: MakeWheel,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setenv("PLAIN_PREPARE_STEP_S", PREPARE_STEP_S)
    make_wheel("tiny", {"tiny/m.gguf": random.Random(SEED).randbytes(3_000_000)})
    arguments = ("pypi:tiny==1.0#tiny/m.gguf", "tiny", "plain_prepare")

    def calm_s(name: str) -> float:
        started_s = time.monotonic()
        assert finish(start(tmp_path / name, programs, *arguments)) == "success"
        return time.monotonic() - started_s

    takes_s = min(calm_s(name) for name in ("calm", "calm-again"))

    def kill_again_and_again(number: int) -> Path:
        home, chance = tmp_path / f"home-{number}", random.Random(SEED + number)
        num_killed = 0
        for _ in range(NUM_PULLS_OF_A_HOME):
            process = start(home, programs, *arguments)
            try:
                process.wait(chance.uniform(0, takes_s))
                process.communicate()
                Catalog(home).remove("tiny")
            except subprocess.TimeoutExpired:
                kill(process, is_whole_group=chance.random() < 0.7)
                num_killed += 1
            check_store(home, caplog)
        assert num_killed > 0
        return home

    with ThreadPoolExecutor(NUM_HOMES) as pool:
        homes = list(pool.map(kill_again_and_again, range(NUM_HOMES)))

    for home in homes:
        assert finish(start(home, programs, *arguments)) == "success"
        assert [card.name for card in check_store(home, caplog)] == ["tiny:latest"]
        assert scraps(home) == []


def test_children_of_a_killed_pull_end_with_it(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights.gguf"
    weights.write_bytes(b"x" * 100)
    arguments = (f"file:{weights}", "m", "plain_prepare")
    monkeypatch.setenv("PLAIN_PREPARE_STEP_S", "600")
    process = start(tmp_path / "home", programs, *arguments)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["status"] == "preparing: copying":
            break
    monkeypatch.setenv("PLAIN_PREPARE_STEP_S", "0")

    kill(process, is_whole_group=False)

    assert finish(start(tmp_path / "home", programs, *arguments)) == "success"


@pytest.mark.slow
def test_the_default_model_survives_kills_during_its_preparation(
    tmp_path: Path, programs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    chance = random.Random(SEED)
    home = tmp_path / "home"

    for _ in range(NUM_KILLS_OF_THE_DEFAULT_MODEL):
        process = start(home, programs, DEFAULT_MODEL, DEFAULT_MODEL)
        time.sleep(chance.uniform(0.5, 6))
        kill(process, is_whole_group=chance.random() < 0.7)
        assert check_store(home, caplog) == []

    assert finish(start(home, programs, DEFAULT_MODEL, DEFAULT_MODEL)) == "success"
    assert [card.name for card in check_store(home, caplog)] == [DEFAULT_MODEL]
    assert scraps(home) == []
