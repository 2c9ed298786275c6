"""Jobs from a specification to a result: checked, run, watched, gone on with, told of."""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from canteen.core.errors import CanteenError, InvalidRequest
from canteen.core.model import full_name
from canteen.lifecycle.jobs import report
from canteen.lifecycle.jobs.book import JobBook
from canteen.lifecycle.jobs.events import Event, EventLog
from canteen.lifecycle.jobs.job import Job, State, new_job_id

logger = logging.getLogger(__name__)

FOLDER = "jobs"
REPORT = "report.html"
SEEN_EVERY_S = 1.0
_INTERRUPTED = "it was interrupted; canteen jobs resume goes on with it"
Tell = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True)
class Desk:
    """What a job works with: its folder, how it tells of itself, and the id of its receipt."""

    folder: Path
    tell: Tell
    receipt_id: str


class Kind(Protocol):
    """A kind of job. `spec` is a dataclass with a `name`: of the model that is made."""

    spec: type[Any]

    def given(self, spec: Any, examples: Sequence[Mapping[str, Any]], folder: Path) -> Any:
        """The specification with what came along, which is kept in the folder."""
        ...

    def check_remote(self, spec: Any) -> None:
        """Raises Forbidden for what names files of this machine."""
        ...

    def check(self, spec: Any, folder: Path) -> Mapping[str, Any]:
        """See that it can be done, and write what it needs into the folder; gives the estimate.

        Raises InvalidRequest, and then nothing has begun. Blocks.
        """
        ...

    async def run(self, job: Job, desk: Desk) -> Mapping[str, Any]:
        """Do it, or go on with it, and give the result; raises CanteenError."""
        ...


class Jobs:
    """The jobs of a store. `receipt` makes an id; `settled` gives the receipt of one as JSON."""

    def __init__(
        self,
        home: Path,
        book: JobBook,
        kinds: Mapping[str, Kind],
        receipt: Callable[[], str],
        settled: Callable[[str], Mapping[str, Any] | None],
    ) -> None:
        self._home = home / FOLDER
        self._book = book
        self._kinds = kinds
        self._receipt = receipt
        self._settled = settled
        self._at_work: dict[str, asyncio.Task[Job]] = {}

    def spec(self, kind: str, fields: Mapping[str, Any]) -> Any:
        """A specification; raises InvalidRequest for an unknown kind or field, and wrong values."""
        if kind not in self._kinds:
            known = ", ".join(self._kinds)
            raise InvalidRequest(f"no job of kind '{kind}'; there are {known}", param="kind")
        asked = self._kinds[kind].spec
        unknown = sorted(set(fields) - set(asked.__dataclass_fields__))
        if unknown:
            known = ", ".join(asked.__dataclass_fields__)
            raise InvalidRequest(
                f"a {kind} has no field '{unknown[0]}'; there are {known}", param=unknown[0]
            )
        return asked(**fields)

    async def submit(
        self,
        kind: str,
        fields: Mapping[str, Any],
        examples: Sequence[Mapping[str, Any]] | None = None,
        *,
        is_remote: bool = False,
    ) -> Job:
        """Check a job and keep it; it has not begun. `examples` are what it learns from, in place
        of a file; somebody who `is_remote` may name none. Raises InvalidRequest."""
        spec = self.spec(kind, fields)
        spec = replace(spec, name=full_name(spec.name))
        job = Job(new_job_id(), kind, spec.name, asdict(spec), "queued", time.time())
        folder = self.folder(job.id)
        await asyncio.to_thread(folder.mkdir, parents=True)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(shutil.rmtree, folder, ignore_errors=True)
            if examples is not None:
                spec = await asyncio.to_thread(self._kinds[kind].given, spec, examples, folder)
            elif is_remote:
                self._kinds[kind].check_remote(spec)
            estimate = await asyncio.to_thread(self._kinds[kind].check, spec, folder)
            job = replace(job, spec=asdict(spec), estimate=estimate)
            await asyncio.to_thread(self._book.add, job)
            on_failure.pop_all()
        self.events(job.id).add({"event": "submitted", "estimate": dict(estimate)})
        return job

    def start(self, job_id: str) -> None:
        """Work at a job in the background, for as long as this process lasts."""
        working = asyncio.ensure_future(self.run(job_id))
        self._at_work[job_id] = working
        working.add_done_callback(lambda done: self._ended(job_id, done))

    async def run(self, job_id: str) -> Job:
        """Work at a job to its end, from where it was; raises what it failed by.

        Whoever is cancelled interrupts it: it can be gone on with.
        """
        receipt_id = self._receipt()
        job = await asyncio.to_thread(self._book.begin, job_id, receipt_id)
        log = self.events(job.id)
        log.mend()
        log.add({"event": "begun"})
        desk = Desk(self.folder(job.id), log.add, receipt_id)
        state: State = "interrupted"
        error = _INTERRUPTED
        result: Mapping[str, Any] = {}
        try:
            result = await self._watched(job, desk)
            state, error = "done", ""
        except CanteenError as exc:
            state, error = "failed", exc.message
            raise
        except OSError as exc:
            state, error = "failed", f"the disk refused it: {exc.strerror}"
            raise
        except _Cancelled:
            state, error = "cancelled", "somebody cancelled it"
        finally:
            receipt = self._settled(receipt_id)
            told = {"receipt": receipt} if receipt else {}
            log.add({"event": state, "error": error, "result": dict(result), **told})
            self._book.end(job.id, state, error=error, result=result)
            await asyncio.to_thread(self._report, job.id)
        return await asyncio.to_thread(self._book.get, job_id)

    async def _watched(self, job: Job, desk: Desk) -> Mapping[str, Any]:
        """The work, until somebody wants it to end."""
        working = asyncio.ensure_future(self._kinds[job.kind].run(job, desk))
        try:
            while not (await asyncio.wait([working], timeout=SEEN_EVERY_S))[0]:
                if await asyncio.to_thread(self._book.seen, job.id) == "cancel":
                    raise _Cancelled
            return working.result()
        finally:
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError, CanteenError):
                await working

    def _report(self, job_id: str) -> None:
        job = self._book.get(job_id)
        told = report.html(job, self.events(job_id).read())
        (self.folder(job_id) / REPORT).write_text(told, "utf-8")

    def _ended(self, job_id: str, done: "asyncio.Task[Job]") -> None:
        self._at_work.pop(job_id, None)
        if not done.cancelled() and (error := done.exception()) is not None:
            logger.warning("a job failed", extra={"job": job_id, "detail": str(error)})

    def list(self) -> list[Job]:
        """Every job, the newest first. Blocks."""
        return self._book.list()

    def get(self, job_id: str) -> Job:
        """A job by its id or its beginning; raises JobNotFound. Blocks."""
        return self._book.get(job_id)

    def events(self, job_id: str) -> EventLog:
        """What a job tells."""
        return EventLog(self.folder(job_id) / "events.jsonl")

    async def follow(self, job_id: str) -> AsyncGenerator[Event]:
        """All events of a job, until it is over."""
        log, book = self.events(job_id), self._book
        async with contextlib.aclosing(log.follow(lambda: book.get(job_id).is_over)) as events:
            async for event in events:
                yield event

    def cancel(self, job_id: str) -> Job:
        """Have whoever works at it end it; raises InvalidRequest where it is over. Blocks."""
        job = self._book.get(job_id)
        if job.is_over:
            raise InvalidRequest(f"job {job.id} is {job.state} already", param="job")
        if job.state == "queued":
            self._book.end(job.id, "cancelled", error="somebody cancelled it")
        else:
            self._book.want(job.id, "cancel")
        return self._book.get(job.id)

    def logs(self, job_id: str) -> str:
        """What its program said on standard error. Blocks."""
        path = self.folder(self._book.get(job_id).id) / "log"
        return path.read_text("utf-8", errors="replace") if path.exists() else ""

    def folder(self, job_id: str) -> Path:
        """Where a job keeps everything."""
        return self._home / job_id

    async def close(self) -> None:
        """Interrupt what this process works at."""
        working = list(self._at_work.values())
        for one in working:
            one.cancel()
        if working:
            await asyncio.wait(working)


class _Cancelled(Exception):
    """Somebody wants the job to end."""
