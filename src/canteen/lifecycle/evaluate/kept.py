"""What was found in the evaluations kept here, without their answers; for those who only look."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

logger = logging.getLogger(__name__)

# In CANTEEN_HOME.
FOLDER = "evaluations"


@dataclass(frozen=True, slots=True)
class Head:
    """The part of a `runs.Run` that says who was asked what, and how well it went; each metric has
    its value and the bounds of its 95 % interval."""

    id: str
    task: str
    dataset: str
    subject: Mapping[str, Any]
    created_at: str
    metrics: Mapping[str, Mapping[str, float]]
    records: tuple[msgspec.Raw, ...] = field(default=(), repr=False)

    def told(self) -> dict[str, Any]:
        """As JSON has it, with how many were asked in place of the answers."""
        return {
            "id": self.id,
            "task": self.task,
            "dataset": self.dataset,
            "model": self.subject["model"],
            "digest": self.subject.get("digest", ""),
            "settings": self.subject.get("settings", {}),
            "created_at": self.created_at,
            "num_items": len(self.records),
            "metrics": self.metrics,
        }


def heads(home: Path, most: int, model: str = "") -> list[dict[str, Any]]:
    """The newest so many, of one model where it is named, as JSON has them; those that are damaged
    are left out with a warning. Blocks."""
    # Their names begin with the time.
    paths = sorted((home / FOLDER).glob("[!.]*.json"), reverse=True)
    told = (head for head in map(_read, paths) if head is not None)
    return list(islice((head for head in told if model in ("", head["model"])), most))


def _read(path: Path) -> dict[str, Any] | None:
    """What is told of a run; its answers, which may be megabytes, are let go."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Head).told()
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        logger.warning("the evaluation %s is damaged", path.name)
        return None
