"""A kind of job that counts, and books in a database of its own."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from canteen.core.database import Connection, Tables
from canteen.core.errors import EngineError, Forbidden, InvalidRequest
from canteen.lifecycle.jobs.book import JobBook
from canteen.lifecycle.jobs.job import Job
from canteen.lifecycle.jobs.runner import CHECKPOINTS, Desk, Jobs
from canteen.metering.store import connect

LOOK_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Count:
    """Count to `upto`; fails at `fails_at`, does what nobody foresaw at `breaks_at`, and at
    `waits_at` waits for a file `go` in its folder. `data` names what it does not read."""

    name: str = ""
    upto: int = 3
    fails_at: int = 0
    breaks_at: int = 0
    waits_at: int = 0
    tells_loss: bool = False
    data: str = ""


class Counting:
    """Its checkpoint is how far it has come."""

    spec = Count

    def given(self, spec: Count, examples: Sequence[Mapping[str, Any]], folder: Path) -> Count:
        path = folder / "given.json"
        path.write_text(json.dumps(list(examples)))
        return replace(spec, data=str(path))

    def check_remote(self, spec: Count) -> None:
        if spec.upto > 100:
            raise Forbidden("too far for somebody who is not here", param="upto")

    def check(self, spec: Count, folder: Path) -> Mapping[str, Any]:
        if spec.upto < 1:
            raise InvalidRequest("upto must be 1 or more", param="upto")
        return {"time_s": {"central": 1.0, "low": 0.5, "high": 2.0}}

    async def run(self, job: Job, desk: Desk) -> Mapping[str, Any]:
        spec, reached = Count(**job.spec), desk.folder / CHECKPOINTS / "reached"
        reached.parent.mkdir(exist_ok=True)
        done = int(reached.read_text()) if reached.exists() else 0
        for number in range(done + 1, spec.upto + 1):
            reached.write_text(str(number))
            # The next time it goes on after it.
            if number == spec.fails_at:
                raise EngineError(f"{number} cannot be counted")
            if number == spec.breaks_at:
                raise ValueError(number)
            if number == spec.waits_at:
                await until((desk.folder / "go").exists)
            told = {"loss": 1.0 / number} if spec.tells_loss else {}
            desk.tell({"event": "step", "step": number, "steps": spec.upto, **told})
        return {"counted": spec.upto}


class Refusing:
    """A database that refuses the next few changes."""

    refusals = 0

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        if self.refusals > 0:
            self.refusals -= 1
            raise EngineError("the database is locked")
        with self._tables.writing() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._tables.reading() as connection:
            yield connection


def jobs(home: Path, kind: str = "count", tables: Tables | None = None) -> Jobs:
    """The jobs of a home, in the database of the home."""
    book = JobBook(tables or connect(f"sqlite:///{home / 'canteen.db'}"))
    ids = iter(f"rcpt_{number}" for number in range(1000))
    return Jobs(home, book, {kind: Counting()}, lambda: next(ids), _receipt)


async def run(there: Jobs, job_id: str) -> Job:
    """Work at a job to its end, from where it was."""
    if there.get(job_id).is_over:
        there.queue(job_id)
    return await there.work(await there.begin(job_id))


async def until(is_so: Callable[[], object]) -> None:
    """Wait for something."""
    while not is_so():  # noqa: ASYNC110 - a file or a database tells nobody
        await asyncio.sleep(LOOK_EVERY_S)


async def begun(there: Jobs, job_id: str, step: int) -> None:
    """Wait until it has counted so far."""
    async for event in there.follow(job_id):
        if event.get("step") == step:
            return


def _receipt(receipt_id: str) -> Mapping[str, Any]:
    figure = {"central": 0.5, "low": 0.4, "high": 0.6}
    return {"id": receipt_id, "energy_wh": figure, "cost_usd": None}
