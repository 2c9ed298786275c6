"""Exceptions that nobody expected, as lines of the log that say which are the same."""

import hashlib
import logging
import traceback
from collections.abc import Mapping
from typing import Any

import msgspec

from canteen.api.access import Write
from canteen.core import trace
from canteen.core.moments import now
from canteen.core.version import VERSION

# The last frames tell where; those before them how it came there.
MOST_FRAMES = 8


class Exceptions(logging.Handler):
    """Writes a JSON line for each exception that is logged with its traceback.

    A fingerprint is of the kind and the way through our code, so that the same fault has the same
    one in every process of a release. What the exception says is left out: it may quote a prompt.
    """

    def __init__(self, write: Write) -> None:
        super().__init__(logging.ERROR)
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record down, if it has an exception."""
        if record.exc_info and record.exc_info[1] is not None:
            self._write(msgspec.json.encode(told(record, record.exc_info[1])) + b"\n")


def told(record: logging.LogRecord, error: BaseException) -> Mapping[str, Any]:
    """The line of an exception."""
    frames = traceback.extract_tb(error.__traceback__)
    way = [f"{_module(frame.filename)}:{frame.name}" for frame in frames][-MOST_FRAMES:]
    kind = type(error).__name__
    return {
        "time": now("milliseconds"),
        "event": "exception",
        "fingerprint": hashlib.sha256("\n".join([kind, *way]).encode()).hexdigest()[:16],
        "kind": kind,
        "where": way,
        "said": str(record.msg),
        "release": VERSION,
        "request_id": getattr(record, "request_id", ""),
        "trace_id": trace.current().trace_id,
    }


def _module(path: str) -> str:
    """A file without the machine's folders."""
    return "/".join(path.split("/")[-2:])
