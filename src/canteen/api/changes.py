"""What changes while the service runs, as lines of the log: models that come into memory and go."""

import logging

import msgspec

from canteen.api.access import Write
from canteen.core.moments import now

_TOLD = ("model", "digest", "engine", "why")


class Changes(logging.Handler):
    """Writes a JSON line for each record whose `event` says what has changed."""

    def __init__(self, write: Write) -> None:
        super().__init__(logging.INFO)
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record down, if it tells of a change."""
        event = getattr(record, "event", None)
        if event is None:
            return
        told = {name: getattr(record, name) for name in _TOLD if hasattr(record, name)}
        line = {"time": now("milliseconds"), "event": event, "what": record.getMessage(), **told}
        self._write(msgspec.json.encode(line) + b"\n")
