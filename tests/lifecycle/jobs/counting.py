"""A kind of job that counts, and books in a database of its own."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from canteen.core.errors import EngineError, Forbidden, InvalidRequest
from canteen.lifecycle.jobs.book import JobBook
from canteen.lifecycle.jobs.job import Job
from canteen.lifecycle.jobs.runner import Desk, Jobs
from canteen.metering.store import connect


@dataclass(frozen=True, slots=True)
class Count:
    """Count to `upto`; fails at `fails_at`, waits for ever at `waits_at`."""

    name: str = ""
    upto: int = 3
    fails_at: int = 0
    waits_at: int = 0


class Counting:
    """Its checkpoint is how far it has come."""

    spec = Count

    def given(self, spec: Count, examples: Sequence[Mapping[str, Any]], folder: Path) -> Count:
        (folder / "given.json").write_text(json.dumps(list(examples)))
        return spec

    def check_remote(self, spec: Count) -> None:
        if spec.upto > 100:
            raise Forbidden("too far for somebody who is not here", param="upto")

    def check(self, spec: Count, folder: Path) -> Mapping[str, Any]:
        if spec.upto < 1:
            raise InvalidRequest("upto must be 1 or more", param="upto")
        return {"time_s": {"central": 1.0, "low": 0.5, "high": 2.0}}

    async def run(self, job: Job, desk: Desk) -> Mapping[str, Any]:
        spec, reached = Count(**job.spec), desk.folder / "reached"
        done = int(reached.read_text()) if reached.exists() else 0
        for number in range(done + 1, spec.upto + 1):
            if number == spec.fails_at:
                # The next time it goes on after it.
                reached.write_text(str(number))
                raise EngineError(f"{number} cannot be counted")
            if number == spec.waits_at:
                reached.write_text(str(number))
                await asyncio.Event().wait()
            reached.write_text(str(number))
            desk.tell({"event": "step", "step": number, "steps": spec.upto, "loss": 1.0 / number})
        return {"counted": spec.upto}


def jobs(home: Path) -> Jobs:
    """The jobs of a home."""
    book = JobBook(connect(f"sqlite:///{home / 'jobs.db'}"))
    ids = iter(f"rcpt_{number}" for number in range(1000))
    return Jobs(home, book, {"count": Counting()}, lambda: next(ids), _receipt)


def _receipt(receipt_id: str) -> Mapping[str, Any]:
    figure = {"central": 0.5, "low": 0.4, "high": 0.6}
    return {"id": receipt_id, "energy_wh": figure, "cost_usd": None}
