"""Files that are there wholly or not at all, and the digests they go by."""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from canteen.core.errors import InvalidRequest, StorageFull

PIECE_BYTES = 1 << 22
# What a full disk, a quota or a limit on a file's size is called.
NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def is_digest(text: str) -> bool:
    """Whether a text is a digest as they are written here."""
    return _DIGEST.fullmatch(text) is not None


def checked(digest: str) -> str:
    """The digest, or InvalidRequest where it is none."""
    if not is_digest(digest):
        raise InvalidRequest(
            "a digest is 'sha256:' and 64 hexadecimal digits in lower case", param="digest"
        )
    return digest


def short(digest: str) -> str:
    """The first twelve digits, as progress and folders show it."""
    return digest.removeprefix("sha256:")[:12]


def digest_of(path: Path) -> str:
    """The digest of a file, or of a folder: that of what `sha256sum` prints of its files.

    The files of a folder are named relative to it, with '/', and sorted by those names.
    """
    if path.is_file():
        with path.open("rb") as file:
            return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    lines = (f"{_hex(file)}  {name}\n" for name, file in sorted(_files(path)))
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def digest_of_bytes(data: bytes) -> str:
    """The digest of what is in memory."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@contextmanager
def full_disk_said(make_room: str) -> Iterator[None]:
    """Raises StorageFull for what the system says of a full disk; `make_room` tells how to."""
    try:
        yield
    except OSError as exc:
        if exc.errno in NO_ROOM:
            raise no_room(make_room) from exc
        raise


def no_room(make_room: str) -> StorageFull:
    """What a full disk is to a caller."""
    return StorageFull(
        "the disk has no room for this, and nothing of it was kept; "
        f"make room ({make_room}), then send it again"
    )


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file such that a reader, or a crash, meets the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".fresh-{os.getpid()}-{path.name}")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    sync(path.parent)


def publish(made: Path, path: Path) -> None:
    """Move a finished file or folder to its place, on disk for good; nothing if it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        remove(made)
        return
    for _, file in _files(made):
        sync(file)
    made.rename(path)
    sync(path.parent)


def remove(path: Path) -> None:
    """Remove a file or folder, which is gone for every reader before the first byte goes."""
    doomed = path.with_name(f".doomed-{os.getpid()}-{path.name}")
    try:
        path.rename(doomed)
    except FileNotFoundError:
        return
    erase(doomed)


def erase(path: Path) -> None:
    """Remove a file or folder nobody reads."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def size_bytes(path: Path) -> int:
    """What a file or folder holds; what vanishes meanwhile does not count."""
    total = 0
    for _, file in _files(path):
        try:
            total += file.stat().st_size
        except FileNotFoundError:
            continue
    return total


def sync(path: Path) -> None:
    """Have a file, or a folder's list of names, on disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield path.name, path
        return
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder, name)
            yield file.relative_to(path).as_posix(), file


def _hex(path: Path) -> str:
    return digest_of(path).removeprefix("sha256:")
