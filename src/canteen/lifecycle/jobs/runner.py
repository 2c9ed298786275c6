"""Jobs from a specification to a result: checked, run, watched, gone on with, told of."""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from canteen.core.errors import CanteenError, EngineError, InvalidRequest
from canteen.core.model import full_name
from canteen.lifecycle.jobs import report
from canteen.lifecycle.jobs.book import JobBook
from canteen.lifecycle.jobs.ending import FORESEEN, Ended, Stopped, ended_by
from canteen.lifecycle.jobs.events import EVENTS, Event, EventLog, Foretold
from canteen.lifecycle.jobs.job import Job, new_job_id

logger = logging.getLogger(__name__)

FOLDER = "jobs"
REPORT = "report.html"
# Where kinds keep what a job goes on from; it is of no use to one that is done.
CHECKPOINTS = "checkpoints"
SEEN_EVERY_S = 1.0
# Between the tries to write down how a job ended.
_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
Tell = Callable[[Mapping[str, Any]], object]
_T = TypeVar("_T")


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
        self._at_work: dict[str, asyncio.Task[None]] = {}

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
        # In one thread, which comes to its end whoever is cancelled: no row without a folder.
        return await asyncio.to_thread(
            self._kept, self._draft(kind, fields), examples, is_remote=is_remote
        )

    async def foresee(self, kind: str, fields: Mapping[str, Any]) -> Job:
        """Check a job as `submit` does, and estimate it; nothing of it is kept."""
        return await asyncio.to_thread(self._foreseen, self._draft(kind, fields))

    def _draft(self, kind: str, fields: Mapping[str, Any]) -> Job:
        spec = self.spec(kind, fields)
        spec = replace(spec, name=full_name(spec.name))
        return Job(new_job_id(), kind, spec.name, asdict(spec), "queued", time.time())

    def _foreseen(self, job: Job) -> Job:
        with self._new_folder(job.id):
            return self._checked(job, None, is_remote=False)

    def _kept(self, job: Job, examples: Sequence[Mapping[str, Any]] | None, is_remote: bool) -> Job:
        with self._new_folder(job.id) as temporary:
            job = self._checked(job, examples, is_remote=is_remote)
            self.events(job.id).add({"event": "submitted", "estimate": dict(job.estimate)})
            self._book.add(job)
            temporary.pop_all()
        return job

    @contextlib.contextmanager
    def _new_folder(self, job_id: str) -> Iterator[contextlib.ExitStack]:
        """For a job that may come to nothing: it is removed at the end, unless told otherwise."""
        folder = self.folder(job_id)
        with contextlib.ExitStack() as at_end:
            at_end.callback(shutil.rmtree, folder, ignore_errors=True)
            folder.mkdir(parents=True)
            yield at_end

    def _checked(
        self, job: Job, examples: Sequence[Mapping[str, Any]] | None, *, is_remote: bool
    ) -> Job:
        kind, folder = self._kinds[job.kind], self.folder(job.id)
        spec = kind.spec(**job.spec)
        if examples is not None:
            spec = kind.given(spec, examples, folder)
        elif is_remote:
            kind.check_remote(spec)
        estimate = kind.check(spec, folder)
        return replace(job, spec=asdict(spec), estimate=estimate)

    def queue(self, job_id: str) -> Job:
        """Have a job that is over, and not done, ready to be gone on with from its last checkpoint.

        Raises InvalidRequest for others. Blocks.
        """
        return self._book.queue(self._book.get(job_id).id)

    def start(self, job_id: str) -> None:
        """Work in the background at what was submitted or queued, once those started before are
        over, for as long as this process lasts."""
        working = asyncio.ensure_future(self._in_turn(job_id, tuple(self._at_work.values())))
        self._at_work[job_id] = working
        working.add_done_callback(lambda done: self._ended(job_id, done))

    async def _in_turn(self, job_id: str, before: Sequence["asyncio.Task[None]"]) -> None:
        """Work at a job once those before it are over, unless somebody takes it meanwhile."""
        try:
            if before:
                await self._watched(job_id, asyncio.wait(before))
            job = await self.begin(job_id)
        except Stopped:
            return
        except FORESEEN as exc:
            await self._end(job_id, ended_by(exc))
            raise
        await self.work(job)

    async def begin(self, job_id: str) -> Job:
        """Begin with a job that was submitted or queued here, and open its receipt; raises
        InvalidRequest for others, and where somebody has cancelled it."""
        beginning = asyncio.ensure_future(
            asyncio.to_thread(self._book.begin, job_id, self._receipt())
        )
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            await asyncio.gather(beginning, return_exceptions=True)
            raise

    async def work(self, job: Job) -> Job:
        """Do what has begun to its end, from where it was; raises what it failed by.

        Whoever is cancelled interrupts it: it can be gone on with.
        """
        ended: Ended | None = Ended()
        try:
            ended = Ended("done", "", await self._watched(job.id, self._done(job)))
        except Stopped as stopped:
            ended = stopped.ended
        except FORESEEN as exc:
            ended = ended_by(exc)
            raise
        finally:
            if ended is not None:
                await self._finish(job, ended)
        return await asyncio.to_thread(self._book.get, job.id)

    async def _done(self, job: Job) -> Mapping[str, Any]:
        log, foretold = self.events(job.id), Foretold()
        log.mend()
        log.add({"event": "begun"})
        desk = Desk(self.folder(job.id), lambda event: log.add(foretold(event)), _receipt_id(job))
        return await self._kinds[job.kind].run(job, desk)

    async def _watched(self, job_id: str, work: Awaitable[_T]) -> _T:
        """The work, until somebody wants it to end or has taken it away."""
        working = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait([working], timeout=SEEN_EVERY_S))[0]:
                await asyncio.to_thread(self._see, job_id)
            return working.result()
        finally:
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError, CanteenError, OSError):
                await working

    def _see(self, job_id: str) -> None:
        """Be seen to work at it, which goes on while the database cannot be used; raises Stopped
        where it must not."""
        try:
            wanted = self._book.seen(job_id)
        except EngineError as exc:
            logger.warning("a job goes on unseen", extra={"job": job_id, "detail": exc.message})
            return
        if wanted is None:
            raise Stopped(None)
        if wanted == "cancel":
            raise Stopped(Ended("cancelled", "somebody cancelled it"))

    async def _finish(self, job: Job, ended: Ended) -> None:
        with _logged(job.id):
            receipt = self._settled(_receipt_id(job))
            told = {"receipt": receipt} if receipt else {}
            log = self.events(job.id)
            log.mend()
            log.add(
                {"event": ended.state, "error": ended.error, "result": dict(ended.result), **told}
            )
        await self._end(job.id, ended)
        with _logged(job.id):
            await asyncio.to_thread(self._tidy, job.id, ended)

    async def _end(self, job_id: str, ended: Ended) -> None:
        """Have the book know; a database that cannot be used is asked some more times."""
        for pause_s in (*_PAUSES_S, None):
            try:
                await asyncio.to_thread(
                    self._book.end, job_id, ended.state, error=ended.error, result=ended.result
                )
                return
            except EngineError:
                if pause_s is None:
                    raise
                logger.warning("the end of a job is not kept yet", extra={"job": job_id})
                await asyncio.sleep(pause_s)

    def _tidy(self, job_id: str, ended: Ended) -> None:
        if ended.state == "done":
            shutil.rmtree(self.folder(job_id) / CHECKPOINTS, ignore_errors=True)
        told = report.html(self._book.get(job_id), self.events(job_id).read())
        (self.folder(job_id) / REPORT).write_text(told, "utf-8")

    def _ended(self, job_id: str, done: "asyncio.Task[None]") -> None:
        # It may have been gone on with already.
        if self._at_work.get(job_id) is done:
            del self._at_work[job_id]
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
        return EventLog(self.folder(job_id) / EVENTS)

    async def follow(self, job_id: str, num_known: int = 0) -> AsyncGenerator[Event]:
        """All events of a job but the first so many, until it is over."""
        coming = self.events(job_id).follow(lambda: self._is_over(job_id), num_known)
        async with contextlib.aclosing(coming) as events:
            async for event in events:
                yield event

    def _is_over(self, job_id: str) -> bool:
        try:
            return self._book.is_over(job_id)
        except EngineError:
            # The database says so itself; whoever follows will see.
            return False

    def cancel(self, job_id: str) -> Job:
        """Have whoever works at it end it; raises InvalidRequest where it is over. Blocks."""
        job = self._book.get(job_id)
        self._book.cancel(job.id)
        return self._book.get(job.id)

    def remove(self, job_id: str) -> Job:
        """Forget a job that is over, with all its files; its receipts and its model stay.

        Raises InvalidRequest where it is not over. Blocks.
        """
        job = self._book.get(job_id)
        self._book.remove(job.id)
        shutil.rmtree(self.folder(job.id), ignore_errors=True)
        return job

    def logs(self, job_id: str, last_bytes: int | None = None) -> str:
        """What its program said on standard error, or the last of it. Blocks."""
        path = self.folder(self._book.get(job_id).id) / "log"
        if not path.exists():
            return ""
        with path.open("rb") as file:
            if last_bytes is not None:
                file.seek(max(0, path.stat().st_size - last_bytes))
            return file.read(-1 if last_bytes is None else last_bytes).decode(errors="replace")

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


def _receipt_id(job: Job) -> str:
    return job.receipt_ids[-1]


@contextlib.contextmanager
def _logged(job_id: str) -> Iterator[None]:
    """What goes wrong in it is no reason for a job to fail that is over."""
    try:
        yield
    except (CanteenError, OSError) as exc:
        logger.warning("the end of a job is not told", extra={"job": job_id, "detail": str(exc)})
