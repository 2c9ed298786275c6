"""The time as records, logs and manifests have it."""

from datetime import UTC, datetime


def now(timespec: str = "microseconds") -> str:
    """RFC 3339, UTC, to a part of a second as datetime.isoformat names it."""
    return datetime.now(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
