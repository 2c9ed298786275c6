"""Locks between processes, one file each; the kernel lets go of them when their holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock for the time of the block, waiting for it; for short work only."""
    fd = _open(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def try_locked(path: Path) -> Iterator[bool]:
    """Hold the lock for the time of the block if it is free; gives whether it is held."""
    fd = _open(path)
    try:
        yield _try(fd)
    finally:
        os.close(fd)


class Lock:
    """A lock that is tried until it is held. Children that inherit its descriptor hold it too:
    one that outlives its parent keeps the next process from its files.
    """

    def __init__(self, path: Path) -> None:
        self.fd = _open(path)

    def take(self) -> bool:
        """Try; whether it is held now."""
        return _try(self.fd)

    def close(self) -> None:
        """Let go."""
        os.close(self.fd)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
