"""The wheel, installed in an empty environment outside the checkout, serves."""

import json
import subprocess
import sys
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

from tests import serving

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    _pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_its_data_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert {
        "canteen/py.typed",
        "canteen/factors/prices.toml",
        "canteen/runtime/menu.toml",
        "canteen/lifecycle/quality.txt",
    } <= set(names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"canteen", "canteen_llm"}


@pytest.mark.timeout(600)
def test_the_installed_wheel_serves(wheel: Path, model_home_copy: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    empty_mb = _megabytes(environment)
    # Compiling all of it takes as long as installing it, and adds a sixth to its size.
    _pip(str(python), "install", "--no-compile", "-c", str(ROOT / "constraints.txt"), str(wheel))

    server = serving.start(
        model_home_copy,
        tmp_path / "serve.log",
        command=[str(environment / "bin" / "canteen")],
        cwd=tmp_path,
    )
    try:
        answer = _ask(server.url)
    finally:
        serving.end(server)

    assert answer["done"] is True
    assert str(answer["response"]).strip()
    assert _megabytes(environment) - empty_mb < 1150


def _pip(python: str, *arguments: str) -> None:
    done = subprocess.run(
        [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _ask(url: str) -> dict[str, object]:
    body = {
        "model": "smollm2:135m",
        "prompt": "who is Oppenheimer",
        "stream": False,
        "options": {"num_predict": 16},
    }
    request = urllib.request.Request(f"{url}/api/generate", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: dict[str, object] = json.load(response)
    return answer


def _megabytes(folder: Path) -> float:
    sizes = (path.lstat().st_blocks * 512 for path in folder.rglob("*"))
    return sum(sizes) / 1e6
