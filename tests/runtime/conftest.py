"""What the tests of pulling share."""

import os
import zipfile
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import gguf
import numpy as np
import pytest

from canteen.core.model import ModelCard, Progress
from canteen.runtime import blobs
from canteen.runtime.catalog import Catalog
from canteen.runtime.pull import Puller

HERE = Path(__file__).parent
PREPARE = ("plain_prepare",)
WEIGHTS = bytes(range(256)) * 4096
MakeWheel = Callable[..., None]
Pull = Callable[..., Awaitable[list[Progress]]]


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stand-in programs, where child processes find them."""
    paths = (str(HERE), os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))
    return HERE


@pytest.fixture
def make_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeWheel:
    """Makes wheels that pip finds in a folder, and pip knows no other index."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    def make(package: str, files: dict[str, bytes], version: str = "1.0") -> None:
        info = f"{package}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        tag = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        with zipfile.ZipFile(index / f"{package}-{version}-py3-none-any.whl", "w") as wheel:
            for name, data in files.items():
                wheel.writestr(name, data)
            wheel.writestr(f"{info}/METADATA", metadata)
            wheel.writestr(f"{info}/WHEEL", tag)
            wheel.writestr(f"{info}/RECORD", "")

    return make


@pytest.fixture
def tiny_gguf(tmp_path: Path) -> Path:
    """A real GGUF of an architecture that no engine here runs."""
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "mamba")
    writer.add_context_length(64)
    writer.add_tensor("token_embd.weight", np.ones((64, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def catalog(tmp_path: Path, programs: Path) -> Catalog:
    """An empty store."""
    return Catalog(tmp_path / "home")


@pytest.fixture
def pull(catalog: Catalog) -> Pull:
    """Pulls into it with the stand-in for preparation."""

    async def pull(
        what: str, name: str | None = None, *, over_http: bool = False
    ) -> list[Progress]:
        pulling = Puller(catalog, PREPARE).pull(what, name, over_http=over_http)
        async with aclosing(pulling) as steps:
            return [progress async for progress in steps]

    return pull


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file."""
    path = tmp_path / "weights.gguf"
    path.write_bytes(WEIGHTS)
    return path


def statuses(steps: list[Progress]) -> list[str]:
    """Without those that follow each other."""
    words = [step.status for step in steps]
    return [word for n, word in enumerate(words) if n == 0 or words[n - 1] != word]


def is_whole(catalog: Catalog, card: ModelCard) -> bool:
    """Whether the files of a model are all there."""
    blob = catalog.blob_path(card.digest)
    is_prepared = (catalog.path(card) / "model.bin").stat().st_size > blobs.size_bytes(blob)
    return blobs.digest_of(blob) == card.digest and is_prepared
