"""The files of the audit: one that is appended to, and those that were full before it."""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from canteen.core.moments import now
from canteen.metering.audit import chain
from canteen.metering.audit.chain import Head

logger = logging.getLogger(__name__)

# Longer than what a group of records may be.
_TAIL_BYTES = 1 << 22
GOES_ON = {"event": chain.CONTINUED}


class File:
    """A file that several programs append to, each a group of records at a time. What cannot be
    done is an OSError, or a ValueError where the file's end is no record.

    One that has `most_bytes` gets the number of its last record into its name, and the next one
    begins with a record that continues the chain; 0 for never.
    """

    def __init__(self, path: Path, most_bytes: int = 0) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._fd = -1
        self._end_bytes = -1
        self._head = Head()

    def open(self) -> None:
        """Open it; make it where it is not there."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = _opened(self._path)

    def close(self) -> None:
        """Close it, if it is open."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def append(self, records: Sequence[Mapping[str, Any]]) -> list[str]:
        """Write records behind what is there now; their hashes, once they are on the disk."""
        with self._locked():
            lines = self._look()
            head, hashes = self._head, []
            for record in records:
                line, head = chain.sealed(record, head)
                lines.append(line)
                hashes.append(head.hash)
            self._end_bytes = -1
            _write(self._fd, b"".join(lines))
            self._head, self._end_bytes = head, os.fstat(self._fd).st_size
            if self._most_bytes and self._end_bytes >= self._most_bytes:
                self._put_away()
        return hashes

    def _look(self) -> list[bytes]:
        """See where the chain ends, if others wrote or nobody has looked yet; what must come
        before the next record: where a killed process left half a line, an account of it."""
        size = os.fstat(self._fd).st_size
        if size == self._end_bytes:
            return []
        if size == 0:
            return self._continue()
        rest = self._read_end(self._fd, size)
        if not rest:
            return []
        line = self._sealed(chain.torn(rest))
        return [line] if rest.endswith(b"\n") else [b"\n", line]

    def _continue(self) -> list[bytes]:
        """The first line of an empty file, where others went before it."""
        known = self._head
        for full in files(self._path)[-2:-1]:
            with full.open("rb") as file:
                self._read_end(file.fileno(), os.fstat(file.fileno()).st_size)
        self._head = max(known, self._head, key=lambda one: one.num_records)
        return [] if self._head == Head() else [self._sealed(GOES_ON)]

    def _sealed(self, record: Mapping[str, Any]) -> bytes:
        line, self._head = chain.sealed({"time": now("milliseconds"), **record}, self._head)
        return line

    def _read_end(self, fd: int, size: int) -> bytes:
        """See where a file's chain ends; what stands behind."""
        tail = os.pread(fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        self._head, rest = chain.end_of(tail, is_whole=size <= _TAIL_BYTES)
        return rest

    def _put_away(self) -> None:
        """Give the file the name of a full one as well, and put one that continues it in its place.
        No other file is ever replaced, and at no moment is there none."""
        full = self._path.with_stem(f"{self._path.stem}-{self._head.num_records:015d}")
        fresh = self._path.with_suffix(".new")
        try:
            os.link(self._path, full)
            fresh.unlink(missing_ok=True)
            fd = _opened(fresh)
            try:
                _write(fd, self._sealed(GOES_ON))
                fresh.replace(self._path)
            finally:
                os.close(fd)
            self._open_again()
        except OSError as error:
            logger.error("no other file of the audit can be begun now: %s", error)
            self._most_bytes *= 2
            self._end_bytes = -1

    def _open_again(self) -> None:
        """Open what the path has now; the lock of what was open is given back."""
        fd = _opened(self._path)
        self.close()
        self._fd, self._end_bytes = fd, -1

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        while not _is_at(self._path, self._fd):
            self._open_again()
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)


def files(path: Path) -> list[Path]:
    """A file and those that were full before it, in the order of their records."""
    full = sorted(path.parent.glob(f"{path.stem}-{'[0-9]' * 15}{path.suffix}"))
    # A file that could not be put away to the end has several names, of which the last counts.
    named = {one.stat().st_ino: one for one in full}
    if path.exists():
        named.pop(path.stat().st_ino, None)
    return [*named.values(), path]


@contextmanager
def opened(path: Path) -> Iterator[list[tuple[str, BinaryIO]]]:
    """A file and those that were full before it, each by its name, as they are at one moment."""
    with ExitStack() as stack:
        current = stack.enter_context(path.open("rb"))
        fcntl.flock(current, fcntl.LOCK_SH)
        while not _is_at(path, current.fileno()):
            current = stack.enter_context(path.open("rb"))
            fcntl.flock(current, fcntl.LOCK_SH)
        found = [(one.name, stack.enter_context(one.open("rb"))) for one in files(path)[:-1]]
        fcntl.flock(current, fcntl.LOCK_UN)
        yield [*found, (path.name, current)]


def _is_at(path: Path, fd: int) -> bool:
    """Whether a path still has the file that is open."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)


def _write(fd: int, whole: bytes) -> None:
    """Bring it to the disk."""
    if os.write(fd, whole) != len(whole):
        raise OSError(28, "no space is left")
    os.fdatasync(fd)
