"""The file of the audit: lines are appended in groups, and are on the disk when that is said."""

import fcntl
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from canteen.core.errors import Overloaded
from canteen.metering.audit import chain
from canteen.metering.audit.chain import Head

logger = logging.getLogger(__name__)

_TRY_AGAIN_AFTER_S = 5.0
FOLDER = "audit"
FILE = "audit.jsonl"
# Longer than what a group of records may be.
_TAIL_BYTES = 1 << 22


class AuditUnavailable(Overloaded):
    """What cannot be recorded is not done."""


class Book:
    """Appends to one file, with others that do the same. A thread writes all that waits at once,
    so that many requests share what it costs to reach the disk."""

    def __init__(self, path: Path) -> None:
        self.trouble = ""
        self._path = path
        self._waiting: list[tuple[Mapping[str, Any], Future[str]]] = []
        self._wake = threading.Condition()
        self._is_closing = False
        self._fd = -1
        self._end_bytes = -1
        self._head = Head()
        self._thread = threading.Thread(target=self._write_on, name="audit", daemon=True)

    def start(self) -> None:
        """Open the file; raises AuditUnavailable."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unavailable(error) from error
        self._thread.start()

    def append(self, record: Mapping[str, Any]) -> "Future[str]":
        """Record something; the hash of its line, once that is on the disk."""
        written: Future[str] = Future()
        with self._wake:
            self._waiting.append(({"time": now(), **record}, written))
            self._wake.notify()
        return written

    def close(self) -> None:
        """Write what waits, and end."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write_on(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._is_closing)
                group, self._waiting = self._waiting, []
                if not group:
                    return
            self._write(group)

    def _write(self, group: "list[tuple[Mapping[str, Any], Future[str]]]") -> None:
        try:
            hashes = self._append([record for record, _ in group])
        except (OSError, ValueError) as error:
            self._say(error)
            for _, written in group:
                written.set_exception(_unavailable(error))
            return
        self.trouble = ""
        for (_, written), told in zip(group, hashes, strict=True):
            written.set_result(told)

    def _append(self, records: list[Mapping[str, Any]]) -> list[str]:
        """Write records behind what is there now; their hashes."""
        with self._locked():
            lines = self._look()
            head, hashes = self._head, []
            for record in records:
                line, head = chain.sealed(record, head)
                lines.append(line)
                hashes.append(head.hash)
            self._end_bytes = -1
            whole = b"".join(lines)
            if os.write(self._fd, whole) != len(whole):
                raise OSError(28, "no space is left")
            os.fdatasync(self._fd)
            self._head, self._end_bytes = head, os.fstat(self._fd).st_size
        return hashes

    def _look(self) -> list[bytes]:
        """See where the chain ends, if others wrote or nobody has looked yet; what must come
        before the next record: where a killed process left half a line, an account of it."""
        size = os.fstat(self._fd).st_size
        if size == self._end_bytes:
            return []
        tail = os.pread(self._fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        self._head, rest = chain.end_of(tail, is_whole=size <= _TAIL_BYTES)
        if not rest:
            return []
        line, self._head = chain.sealed({"time": now(), **chain.torn(rest)}, self._head)
        return [line] if rest.endswith(b"\n") else [b"\n", line]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _say(self, error: Exception) -> None:
        """Tell what is wrong, once."""
        if str(error) != self.trouble:
            logger.error("the audit cannot be written now: %s", error)
        self.trouble = str(error)


def verify(path: Path, noted: str = "") -> chain.Verdict:
    """Follow the chain of a file; raises AuditUnavailable where it cannot be read."""
    try:
        with path.open("rb") as lines:
            return chain.verify(lines, noted)
    except OSError as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> AuditUnavailable:
    reason = error.strerror if isinstance(error, OSError) else "its last line is no record"
    return AuditUnavailable(
        f"the audit cannot be used: {reason}; its operator should see CANTEEN_AUDIT, the disk, and "
        "canteen audit verify",
        retry_after_s=_TRY_AGAIN_AFTER_S,
        code="audit_unavailable",
    )


def now() -> str:
    """The time as records have it: RFC 3339, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
