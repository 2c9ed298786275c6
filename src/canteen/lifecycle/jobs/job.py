"""A job: what was asked for, how it stands, and what came of it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
UNDER_WAY: tuple[State, ...] = ("queued", "running")
# What can be gone on with.
RESUMABLE: tuple[State, ...] = ("failed", "cancelled", "interrupted")


@dataclass(frozen=True, slots=True)
class Job:
    """Times are seconds since 1970. `name` is of the model that it makes; `wanted` is "cancel"
    where somebody wants it to end; each time that it ran has a receipt."""

    id: str
    kind: str
    name: str
    spec: Mapping[str, Any]
    state: State
    created_s: float
    wanted: str = ""
    host: str = ""
    pid: int = 0
    started_s: float | None = None
    seen_s: float | None = None
    ended_s: float | None = None
    error: str = ""
    estimate: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    receipt_ids: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing works at it."""
        return self.state not in UNDER_WAY


def new_job_id() -> str:
    """An id that no other job has."""
    return f"job_{uuid.uuid4().hex[:16]}"
