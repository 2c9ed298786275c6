"""How the work at a job ends, and what is told of it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from canteen.core.errors import CanteenError
from canteen.lifecycle.jobs.job import State

# What is foreseen to end it; anything else is a mistake of the program.
FORESEEN = (CanteenError, OSError, asyncio.CancelledError)
_INTERRUPTED = "its program was ended, by Ctrl-C or with its service"
_UNFORESEEN = "it ended by an error that nobody foresaw; the log of its service tells more"


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended."""

    state: State = "failed"
    error: str = _UNFORESEEN
    result: Mapping[str, Any] = field(default_factory=dict)


class Stopped(Exception):
    """It is to end; `ended` is None where the job is not this process's any more."""

    def __init__(self, ended: Ended | None) -> None:
        super().__init__()
        self.ended = ended


def ended_by(exc: BaseException) -> Ended:
    """What a foreseen exception makes of it."""
    if isinstance(exc, asyncio.CancelledError):
        return Ended("interrupted", _INTERRUPTED)
    if isinstance(exc, CanteenError):
        return Ended(error=exc.message)
    if isinstance(exc, OSError):
        return Ended(error=f"the disk refused it: {exc.strerror or type(exc).__name__}")
    return Ended()
