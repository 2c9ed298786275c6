"""The jobs in the database: who works at which, and how each stands."""

import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from canteen.core.database import Row, Tables
from canteen.core.errors import InvalidRequest, JobNotFound
from canteen.core.processes import lives
from canteen.lifecycle.jobs.job import RESUMABLE, Job, State

# A job of another machine that nobody has seen for so long is nobody's.
GONE_AFTER_S = 60.0
_JSON = ("spec", "estimate", "result", "receipt_ids")
_COLUMNS = tuple(one.name for one in fields(Job))


class JobBook:
    """Jobs by their ids; several gateways may share it. Every call blocks for milliseconds."""

    def __init__(self, tables: Tables, clock: Callable[[], float] = time.time) -> None:
        self._tables = tables
        self._clock = clock

    def add(self, job: Job) -> None:
        """Keep a new job; raises InvalidRequest where another is making the same model."""
        here = {"host": socket.gethostname(), "pid": os.getpid(), "seen_s": self._clock()}
        row = _row(job) | here
        names = ", ".join(row)
        with self._tables.writing() as connection:
            _end_abandoned(connection, self._clock())
            kept = connection.execute(
                f"INSERT INTO jobs ({names}) VALUES ({', '.join(':' + name for name in row)}) "  # noqa: S608 - own names
                "ON CONFLICT DO NOTHING RETURNING id",
                row,
            )
        if not kept:
            raise _taken(job.name)

    def get(self, job_id: str) -> Job:
        """A job by its id, or what its id begins with; raises JobNotFound."""
        begins = job_id if job_id.startswith("job_") else f"job_{job_id}"
        found = [job for job in self.list() if job.id.startswith(begins)]
        exact = [job for job in found if job.id == begins]
        if len(exact or found) != 1:
            raise JobNotFound(job_id, len(found))
        return (exact or found)[0]

    def list(self) -> list[Job]:
        """Every job, the newest first; those whose program was killed are interrupted."""
        with self._tables.writing() as connection:
            _end_abandoned(connection, self._clock())
            rows = connection.execute("SELECT * FROM jobs ORDER BY created_s DESC, id")
        return [_job(row) for row in rows]

    def begin(self, job_id: str, receipt_id: str) -> Job:
        """Work at a job begins, in this process; raises InvalidRequest where it must not."""
        with self._tables.writing() as connection:
            _end_abandoned(connection, self._clock())
            (row,) = connection.execute("SELECT * FROM jobs WHERE id = :id", {"id": job_id})
            job = _job(row)
            if job.state not in ("queued", *RESUMABLE):
                raise InvalidRequest(f"job {job.id} is {job.state}", param="job")
            others = connection.execute(
                "SELECT id FROM jobs WHERE name = :name AND id <> :id "
                "AND (state = 'running' OR state = 'queued')",
                {"name": job.name, "id": job.id},
            )
            if others:
                raise _taken(job.name)
            now_s = self._clock()
            changed = {
                "id": job.id,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "now": now_s,
                "receipts": json.dumps([*job.receipt_ids, receipt_id]),
            }
            (row,) = connection.execute(
                "UPDATE jobs SET state = 'running', wanted = '', error = '', host = :host, "
                "pid = :pid, started_s = COALESCE(started_s, :now), seen_s = :now, "
                "ended_s = NULL, receipt_ids = :receipts WHERE id = :id RETURNING *",
                changed,
            )
        return _job(row)

    def seen(self, job_id: str) -> str:
        """It is worked at now; gives what somebody wants of it, empty if nothing."""
        with self._tables.writing() as connection:
            rows = connection.execute(
                "UPDATE jobs SET seen_s = :now WHERE id = :id RETURNING wanted",
                {"now": self._clock(), "id": job_id},
            )
        return str(rows[0]["wanted"]) if rows else "cancel"

    def want(self, job_id: str, what: str) -> None:
        """Tell whoever works at it."""
        with self._tables.writing() as connection:
            connection.execute(
                "UPDATE jobs SET wanted = :what WHERE id = :id", {"what": what, "id": job_id}
            )

    def end(
        self, job_id: str, state: State, *, error: str = "", result: Mapping[str, Any] | None = None
    ) -> None:
        """Nobody works at it any more."""
        told = {
            "id": job_id,
            "state": state,
            "error": error,
            "result": json.dumps(dict(result or {})),
            "now": self._clock(),
        }
        with self._tables.writing() as connection:
            connection.execute(
                "UPDATE jobs SET state = :state, error = :error, result = :result, "
                "ended_s = :now WHERE id = :id",
                told,
            )


def _end_abandoned(connection: Any, now_s: float) -> None:
    """Jobs whose process is no more have been interrupted."""
    running = connection.execute(
        "SELECT id, host, pid, seen_s FROM jobs WHERE state = 'running' OR state = 'queued'"
    )
    here = socket.gethostname()
    for row in running:
        is_silent = (row["seen_s"] or 0.0) < now_s - GONE_AFTER_S
        if is_silent or (row["host"] == here and not lives(row["pid"])):
            connection.execute(
                "UPDATE jobs SET state = 'interrupted', ended_s = seen_s, "
                "error = 'the program that ran it was ended' WHERE id = :id",
                {"id": row["id"]},
            )


def _taken(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"another job is making '{name}'; wait for it, cancel it, or give another name",
        param="name",
    )


def _row(job: Job) -> Row:
    told = asdict(job)
    return {name: json.dumps(told[name]) if name in _JSON else told[name] for name in _COLUMNS}


def _job(row: Row) -> Job:
    told = {name: json.loads(row[name]) if name in _JSON else row[name] for name in _COLUMNS}
    return Job(**{**told, "receipt_ids": tuple(told["receipt_ids"])})
