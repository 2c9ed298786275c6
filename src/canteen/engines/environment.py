"""Which Python a worker runs in: the gateway's own, or one that an engine has for itself."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from canteen.core.errors import NotSupported
from canteen.engines import registry

# In such an environment a worker imports, of Canteen, only what needs no more than msgspec.
FOLDER = Path("engines")
# The package alone, without the libraries that are installed beside it.
PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Program:
    """A Python, and what its environment has besides ours."""

    python: str = sys.executable
    environ: Mapping[str, str] = field(default_factory=dict)


OURS = Program()


def program(engine: str, home: Path) -> Program:
    """The Python of an engine: ours, or that of an environment of its own.

    Raises NotSupported where that was not made yet.
    """
    if not registry.steps_itself(engine):
        return OURS
    if not is_there(engine, home):
        raise NotSupported(
            f"engine '{engine}' is not installed; run: canteen engine install {engine}"
        )
    return Program(
        str(_python(engine, home)), {"PYTHONPATH": str(_modules(home / FOLDER / "modules"))}
    )


def is_there(engine: str, home: Path) -> bool:
    """Whether an engine's environment was made."""
    return _python(engine, home).exists()


def is_for_cpus(engine: str, home: Path) -> bool:
    """Whether an engine's environment has the build of it that computes on processors."""
    found = (home / FOLDER / engine).glob(f"lib*/python*/site-packages/{engine}_cpu-*.dist-info")
    return any(found)


def _python(engine: str, home: Path) -> Path:
    return home / FOLDER / engine / "bin" / "python"


def _modules(folder: Path) -> Path:
    """A folder with a link to Canteen's package and nothing else."""
    link = folder / PACKAGE.name
    if not (link.is_symlink() and link.readlink() == PACKAGE):
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"{PACKAGE.name}-{os.getpid()}"
        fresh.symlink_to(PACKAGE)
        fresh.replace(link)
    return folder
