"""Comparisons of formats as they were measured here, kept as files."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from canteen.lifecycle import files

logger = logging.getLogger(__name__)

FOLDER = "comparisons"


def save(told: Mapping[str, Any], home: Path, now_s: float) -> None:
    """Keep a trade-off, told as JSON, in place of the one before it of the same model."""
    name = quote(told["model"], safe="")
    moment = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="seconds")
    kept = {**told, "measured_at": moment.replace("+00:00", "Z")}
    files.write_whole(home / FOLDER / f"{name}.json", json.dumps(kept, indent=1).encode())


def load(home: Path) -> list[dict[str, Any]]:
    """The last comparison of each model, the newest first; those that are damaged are left out
    with a warning. Blocks for milliseconds."""
    found = filter(None, map(_read, sorted((home / FOLDER).glob("[!.]*.json"))))
    return sorted(found, key=lambda one: str(one["measured_at"]), reverse=True)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        told: dict[str, Any] = json.loads(path.read_bytes())
        return {**told, "measured_at": told["measured_at"], "rows": list(told["rows"])}
    except (ValueError, TypeError, KeyError):
        logger.warning("the comparison %s is damaged; measure again with canteen quantize", path)
        return None
