"""The audit: records are appended in groups, and are on the disk when that is said."""

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from canteen.core.errors import Overloaded
from canteen.core.moments import now
from canteen.metering.audit import chain
from canteen.metering.audit.files import File, opened

logger = logging.getLogger(__name__)

_TRY_AGAIN_AFTER_S = 5.0
FOLDER = "audit"
FILE = "audit.jsonl"


class AuditUnavailable(Overloaded):
    """What cannot be recorded is not done."""


class Book:
    """Appends to one file, with others that do the same, and begins another one when it has
    `most_bytes`; 0 for never. A thread writes all that waits at once, so that many requests share
    what it costs to reach the disk."""

    def __init__(self, path: Path, most_bytes: int = 0) -> None:
        self.trouble = ""
        self._file = File(path, most_bytes)
        self._waiting: list[tuple[Mapping[str, Any], Future[str]]] = []
        self._wake = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._write_on, name="audit", daemon=True)

    @classmethod
    def at(cls, home: Path, most_mb: int) -> "Book":
        """The audit of a home."""
        return cls(home / FOLDER / FILE, most_mb * 10**6)

    def start(self) -> None:
        """Open the file; raises AuditUnavailable."""
        try:
            self._file.open()
        except OSError as error:
            raise _unavailable(error) from error
        self._thread.start()

    def append(self, record: Mapping[str, Any]) -> "Future[str]":
        """Record something; the hash of its line, once that is on the disk."""
        written: Future[str] = Future()
        with self._wake:
            self._waiting.append(({"time": now("milliseconds"), **record}, written))
            self._wake.notify()
        return written

    def close(self) -> None:
        """Write what waits, and end."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()
        self._file.close()

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
            hashes = self._file.append([record for record, _ in group])
        except (OSError, ValueError) as error:
            self._say(error)
            for _, written in group:
                written.set_exception(_unavailable(error))
            return
        self.trouble = ""
        for (_, written), told in zip(group, hashes, strict=True):
            written.set_result(told)

    def _say(self, error: Exception) -> None:
        """Tell what is wrong, once."""
        if str(error) != self.trouble:
            logger.error("the audit cannot be written now: %s", error)
        self.trouble = str(error)


def verify(path: Path, noted: str = "") -> chain.Verdict:
    """Follow the chain of a file and of those that were full before it; raises AuditUnavailable
    where they cannot be read."""
    try:
        with opened(path) as those:
            return chain.verify(those, noted)
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
