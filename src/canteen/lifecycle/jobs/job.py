"""A job: what was asked for, how it stands, and what came of it."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
UNDER_WAY: tuple[State, ...] = ("queued", "running")
# What can be gone on with.
RESUMABLE: tuple[State, ...] = ("failed", "cancelled", "interrupted")
# What tells of the machine that works at a job.
_OF_THE_MACHINE = ("host", "pid", "born")
# The fields of specifications that may name files.
_FILES = ("data", "corpus")


@dataclass(frozen=True, slots=True)
class Job:
    """Times are seconds since 1970. `name` is of the model that it makes; `wanted` is "cancel"
    where somebody wants it to end; `born` is when the process `pid` of `host` was, which works
    at it; each time that it ran has a receipt."""

    id: str
    kind: str
    name: str
    spec: Mapping[str, Any]
    state: State
    created_s: float
    wanted: str = ""
    host: str = ""
    pid: int = 0
    born: str = ""
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

    @property
    def is_resumable(self) -> bool:
        """Whether it can be gone on with."""
        return self.state in RESUMABLE


def abroad(job: Job) -> dict[str, Any]:
    """A job as those elsewhere may see it: without its machine, and files by their last names."""
    told = {name: value for name, value in asdict(job).items() if name not in _OF_THE_MACHINE}
    spec = {
        name: _last_names(value, job.id) if name in _FILES else value
        for name, value in job.spec.items()
    }
    return told | {"spec": spec}


def _last_names(value: Any, job_id: str) -> Any:
    if isinstance(value, list | tuple):
        return [_last_names(one, job_id) for one in value]
    path = Path(str(value))
    return "given" if path.parent.name == job_id else path.name


def new_job_id() -> str:
    """An id that no other job has."""
    return f"job_{uuid.uuid4().hex[:16]}"
