"""The jobs in the database: who works at which, and how each stands."""

import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from canteen.core.database import Row, Tables, insert
from canteen.core.errors import InvalidRequest, JobNotFound
from canteen.core.processes import here, is_gone
from canteen.lifecycle.jobs.job import Job, State

_JSON = ("spec", "estimate", "result", "receipt_ids")
_COLUMNS = tuple(one.name for one in fields(Job))


class JobBook:
    """Jobs by their ids; several gateways may share it. Every call blocks for milliseconds, and
    raises EngineError where the database cannot be used."""

    def __init__(
        self, tables: Tables, clock: Callable[[], float] = time.time, host: str = ""
    ) -> None:
        self._tables = tables
        self._clock = clock
        self._host = host or socket.gethostname()

    def add(self, job: Job) -> None:
        """Keep a new job; raises InvalidRequest where another is making the same model."""
        row = _row(job) | here(self._host) | {"seen_s": self._clock()}
        with self._tables.writing() as connection:
            self._end_abandoned(connection)
            kept = insert(connection, "jobs", row, "ON CONFLICT DO NOTHING RETURNING id")
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
            self._end_abandoned(connection)
            rows = connection.execute("SELECT * FROM jobs ORDER BY created_s DESC, id")
        return [_job(row) for row in rows]

    def is_over(self, job_id: str) -> bool:
        """Whether nobody works at it any more; for those who ask often."""
        with self._tables.reading() as connection:
            rows = connection.execute(
                "SELECT host, pid, born, seen_s FROM jobs WHERE id = :id "
                "AND state IN ('queued', 'running')",
                {"id": job_id},
            )
        return not rows or self._is_abandoned(rows[0])

    def queue(self, job_id: str) -> Job:
        """What failed, was cancelled or interrupted is to be gone on with by this process.

        Raises InvalidRequest for others, and where another is making the same model.
        """
        with self._tables.writing() as connection:
            self._end_abandoned(connection)
            rows = connection.execute(
                "UPDATE jobs SET state = 'queued', wanted = '', error = '', ended_s = NULL, "
                "host = :host, pid = :pid, born = :born, seen_s = :now WHERE id = :id "
                "AND state IN ('failed', 'cancelled', 'interrupted') "
                "AND NOT EXISTS (SELECT 1 FROM jobs others WHERE others.name = jobs.name "
                "AND others.id <> jobs.id AND others.state IN ('queued', 'running')) RETURNING *",
                {"id": job_id, "now": self._clock()} | here(self._host),
            )
            if not rows:
                job = _one(connection, job_id)
                raise _taken(job.name) if job.is_resumable else _is(job)
        return _job(rows[0])

    def begin(self, job_id: str, receipt_id: str) -> Job:
        """Work begins at a job that this process has in its queue; raises InvalidRequest for
        others."""
        with self._tables.writing() as connection:
            receipts = json.dumps([*_one(connection, job_id).receipt_ids, receipt_id])
            rows = connection.execute(
                "UPDATE jobs SET state = 'running', started_s = COALESCE(started_s, :now), "
                "seen_s = :now, receipt_ids = :receipts WHERE id = :id AND state = 'queued' "
                "AND host = :host AND pid = :pid AND born = :born RETURNING *",
                {"id": job_id, "now": self._clock(), "receipts": receipts} | here(self._host),
            )
            if not rows:
                raise _is(_one(connection, job_id))
        return _job(rows[0])

    def seen(self, job_id: str) -> str | None:
        """This process has it; gives what somebody wants of it, empty if nothing, or None where
        it is this process's no more."""
        with self._tables.writing() as connection:
            rows = connection.execute(
                "UPDATE jobs SET seen_s = :now WHERE id = :id AND state IN ('queued', 'running') "
                "AND host = :host AND pid = :pid AND born = :born RETURNING wanted",
                {"now": self._clock(), "id": job_id} | here(self._host),
            )
        return str(rows[0]["wanted"]) if rows else None

    def cancel(self, job_id: str) -> None:
        """End one that waits, and tell whoever works at one; raises InvalidRequest for others."""
        told = {"id": job_id, "now": self._clock()}
        with self._tables.writing() as connection:
            found = connection.execute(
                "UPDATE jobs SET state = 'cancelled', error = 'somebody cancelled it', "
                "ended_s = :now WHERE id = :id AND state = 'queued' RETURNING id",
                told,
            ) or connection.execute(
                "UPDATE jobs SET wanted = 'cancel' WHERE id = :id AND state = 'running' "
                "RETURNING id",
                told,
            )
            if not found:
                raise _is(_one(connection, job_id), " already")

    def end(
        self, job_id: str, state: State, *, error: str = "", result: Mapping[str, Any] | None = None
    ) -> None:
        """This process works at it no more; nothing changes where it did not."""
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
                "ended_s = :now WHERE id = :id AND state IN ('queued', 'running') "
                "AND host = :host AND pid = :pid AND born = :born",
                told | here(self._host),
            )

    def remove(self, job_id: str) -> None:
        """Forget one that is over; raises InvalidRequest for others."""
        with self._tables.writing() as connection:
            self._end_abandoned(connection)
            gone = connection.execute(
                "DELETE FROM jobs WHERE id = :id AND state NOT IN ('queued', 'running') "
                "RETURNING id",
                {"id": job_id},
            )
            if not gone:
                raise _is(_one(connection, job_id), "; cancel it first")

    def _is_abandoned(self, row: Row) -> bool:
        """Whether the process that had a job is no more."""
        return is_gone(row, self._host, self._clock())

    def _end_abandoned(self, connection: Any) -> None:
        """Jobs whose process is no more have been interrupted."""
        rows = connection.execute(
            "SELECT id, host, pid, born, seen_s FROM jobs WHERE state IN ('queued', 'running')"
        )
        for row in rows:
            if self._is_abandoned(row):
                connection.execute(
                    "UPDATE jobs SET state = 'interrupted', ended_s = seen_s, "
                    "error = 'the program that ran it was ended' WHERE id = :id "
                    "AND state IN ('queued', 'running') AND seen_s = :seen_s "
                    "AND host = :host AND pid = :pid AND born = :born",
                    row,
                )


def _one(connection: Any, job_id: str) -> Job:
    rows = connection.execute("SELECT * FROM jobs WHERE id = :id", {"id": job_id})
    if not rows:
        raise JobNotFound(job_id)
    return _job(rows[0])


def _is(job: Job, rest: str = "") -> InvalidRequest:
    return InvalidRequest(f"job {job.id} is {job.state}{rest}", param="job")


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
