"""Packages, fetched with a pip of our own making that never leaves this machine."""

import hashlib
import io
import os
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from canteen.core.errors import EngineError
from canteen.lifecycle.evaluate import packages
from canteen.lifecycle.evaluate.packages import Package

FILES = {"thing/data/one.txt": b"1\r\n", "thing/data/two.csv": b"a,b", "thing/other.txt": b"3"}


def as_zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    return packed.getvalue()


def as_tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def as_deb() -> bytes:
    packed = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0"), ("data.tar.gz", as_tar())):
        packed += f"{name:<48}{len(content):<10}`\n".encode() + content + b"\n" * (len(content) % 2)
    return packed


def kept(folder: Path, content: bytes) -> Package:
    digest = hashlib.sha256(content).hexdigest()
    folder.mkdir(exist_ok=True)
    (folder / f"sha256-{digest}").write_bytes(content)
    return Package("wheel", "canteen-no-such-package", "1.0", digest)


@pytest.mark.parametrize(
    "content", [as_zip(), as_tar(), as_deb()], ids=["wheel", "tar", "Debian package"]
)
def test_what_is_kept_is_read_without_a_network(tmp_path: Path, content: bytes) -> None:
    package = kept(tmp_path, content)

    with packages.opened(package, tmp_path) as archive:
        found = dict(archive.files("thing/data/", ".txt"))
        text = archive.text("thing/data/one.txt")

    assert found == {"thing/data/one.txt": b"1\r\n"}
    assert text == "1\r\n"


def test_a_broken_file_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    package = kept(tmp_path, as_zip())
    next(tmp_path.iterdir()).write_bytes(b"something else")

    with pytest.raises(EngineError, match="could not download"):
        packages.fetch(package, tmp_path)

    assert not list(tmp_path.glob(".fetching-*"))


def wheel(folder: Path) -> bytes:
    """A wheel that a pip which may only look into `folder` finds."""
    about = "Metadata-Version: 2.1\nName: canteen-test-data\nVersion: 1.0\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    path = folder / "canteen_test_data-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing.txt", "data")
        archive.writestr("canteen_test_data-1.0.dist-info/METADATA", about)
        archive.writestr("canteen_test_data-1.0.dist-info/WHEEL", tags)
        archive.writestr("canteen_test_data-1.0.dist-info/RECORD", "")
    return path.read_bytes()


@pytest.mark.parametrize("is_known", [True, False])
def test_a_package_is_taken_only_if_it_is_the_one_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    (tmp_path / "index").mkdir()
    content = wheel(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    digest = hashlib.sha256(content if is_known else b"another").hexdigest()
    package = Package("wheel", "canteen-test-data", "1.0", digest)
    folder = tmp_path / "home" / "datasets"

    if is_known:
        assert packages.fetch(package, folder).read_bytes() == content
        assert [one.name for one in folder.iterdir()] == [f"sha256-{digest}"]
    else:
        with pytest.raises(EngineError, match=r"canteen-test-data==1\.0"):
            packages.fetch(package, folder)
        assert list(folder.iterdir()) == []


def test_what_a_killed_fetch_left_is_swept_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for name, age_s in (("old", 100_000), ("new", 10)):
        (tmp_path / f".fetching-{name}").mkdir()
        os.utime(tmp_path / f".fetching-{name}", (time.time() - age_s,) * 2)

    with pytest.raises(EngineError):
        packages.fetch(Package("wheel", "canteen-no-such-package", "1.0", "0" * 64), tmp_path)

    assert [one.name for one in tmp_path.iterdir()] == [".fetching-new"]


def test_a_package_of_npm_needs_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EngineError, match=r"install Node\.js"):
        packages.fetch(Package("npm", "x", "1.0.0", "0" * 64), tmp_path / "datasets")


def test_each_file_of_a_package_has_its_own_options() -> None:
    kinds = ("wheel", "linux-wheel", "sdist")

    options = {Package(kind, "x", "1", "0").pip_options() for kind in kinds}  # type: ignore[arg-type]

    assert len(options) == 3
    assert Package("npm", "@a/x", "1", "0").title == "@a/x@1"
