"""`/v1/jobs`: long work that the service does in the background, and how it stands."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from canteen.api.errors import problem, status_of
from canteen.api.routing import Route, Served
from canteen.api.streaming import heartbeat, json_bytes, sse, stream
from canteen.api.whole import whole
from canteen.api.wire import JsonObject, Wire
from canteen.core.errors import CanteenError
from canteen.lifecycle.jobs import report
from canteen.lifecycle.jobs.job import Job, abroad

SSE = "text/event-stream"
MOST_EXAMPLES = 1_000_000
MOST_LOG_BYTES = 1 << 16


class JobRequest(Wire):
    """A job: its kind, and the fields of `canteen finetune` or `canteen train` as its `spec`."""

    kind: Literal["finetune", "train"] = Field(description="What is to be done.")
    spec: JsonObject = Field(description="What is asked for; `name` is that of the result.")
    examples: list[JsonObject] | None = Field(
        None,
        max_length=MOST_EXAMPLES,
        description="What a fine-tune learns from, as the lines of its JSONL file would be; "
        "or a built-in set by its name in spec.data.",
    )


class JobAnswer(BaseModel):
    """How a job stands; times are seconds since 1970. `found` is what it took so far. Files of
    the server in `spec` go by their last names, and examples that were sent as "given"."""

    model_config = ConfigDict(extra="allow")
    id: str
    kind: str
    name: str
    state: str
    spec: dict[str, Any]
    created_s: float
    error: str = ""
    estimate: dict[str, Any] = {}
    result: dict[str, Any] = {}
    receipt_ids: list[str] = []


class JobList(BaseModel):
    """Every job, the newest first."""

    jobs: list[JobAnswer]


class Removed(BaseModel):
    """The id that is gone."""

    removed: str


async def submit(body: JobRequest, served: Served) -> Response:
    """Check a job, and begin it once those before it are over; 202, and the job as it stands."""
    jobs = served.services.jobs

    async def begun() -> Job:
        job = await jobs.submit(body.kind, body.spec, body.examples, is_remote=True)
        jobs.start(job.id)
        return job

    return _said(await _unbroken(begun()), status=202)


async def every(served: Served) -> Response:
    """The jobs there are."""
    found = await asyncio.to_thread(served.services.jobs.list)
    return whole({"jobs": [abroad(job) for job in found]})


async def show(served: Served) -> Response:
    """A job, with what it took so far."""
    jobs = served.services.jobs
    job = await asyncio.to_thread(jobs.get, served.path["id"])
    told = await asyncio.to_thread(jobs.events(job.id).read)
    return whole(abroad(job) | {"found": report.taken(told)})


async def events(served: Served) -> Response:
    """What a job tells, from its beginning to its end, as server-sent events."""
    job = await asyncio.to_thread(served.services.jobs.get, served.path["id"])

    async def frames() -> AsyncGenerator[bytes]:
        async with aclosing(served.services.jobs.follow(job.id)) as coming:
            async for event in coming:
                yield sse(json_bytes(event))
        yield sse(b"[DONE]")

    return await stream(frames(), SSE, _last_words, heartbeat(b": \n\n", served.observe))


async def logs(served: Served) -> Response:
    """The last that a job's program said on standard error."""
    jobs = served.services.jobs
    text = await asyncio.to_thread(jobs.logs, served.path["id"], MOST_LOG_BYTES)
    return Response(text, media_type="text/plain")


async def page(served: Served) -> Response:
    """A job's report, as it stands."""
    jobs = served.services.jobs
    job = await asyncio.to_thread(jobs.get, served.path["id"])
    told = await asyncio.to_thread(jobs.events(job.id).read)
    seen = replace(job, spec=abroad(job)["spec"])
    return Response(await asyncio.to_thread(report.html, seen, told), media_type="text/html")


async def cancel(served: Served) -> Response:
    """Have a job end; what it has learned so far is kept."""
    return _said(await asyncio.to_thread(served.services.jobs.cancel, served.path["id"]))


async def resume(served: Served) -> Response:
    """Go on with a job that failed, was cancelled or was killed; 202."""
    jobs = served.services.jobs

    async def begun() -> Job:
        job = await asyncio.to_thread(jobs.queue, served.path["id"])
        jobs.start(job.id)
        return job

    return _said(await _unbroken(begun()), status=202)


async def remove(served: Served) -> Response:
    """Forget a job that is over, with its files; its receipts and the model it made stay."""
    job = await asyncio.to_thread(served.services.jobs.remove, served.path["id"])
    return whole({"removed": job.id})


async def _unbroken(work: Coroutine[Any, Any, Job]) -> Job:
    """Do it to its end, also for a caller who goes away: what is kept is begun."""
    return await asyncio.shield(asyncio.ensure_future(work))


def _said(job: Job, status: int = 200) -> Response:
    return whole(abroad(job), status=status)


def _last_words(error: CanteenError) -> bytes:
    return sse(json_bytes({"error": problem(error, status_of(error))}), "error")


ROUTES = (
    Route("GET", "/v1/jobs", every, None, JobList, "Every job", scope="llm:admin"),
    Route("POST", "/v1/jobs", submit, JobRequest, JobAnswer, "Begin a job", scope="llm:admin"),
    Route("GET", "/v1/jobs/{id}", show, None, JobAnswer, "How a job stands", scope="llm:admin"),
    Route(
        "DELETE",
        "/v1/jobs/{id}",
        remove,
        None,
        Removed,
        "Forget a job that is over",
        scope="llm:admin",
    ),
    Route(
        "GET",
        "/v1/jobs/{id}/events",
        events,
        None,
        None,
        "What a job tells",
        SSE,
        scope="llm:admin",
    ),
    Route(
        "GET",
        "/v1/jobs/{id}/logs",
        logs,
        None,
        None,
        "The last that its program said",
        scope="llm:admin",
    ),
    Route(
        "GET", "/v1/jobs/{id}/report", page, None, None, "Its report, as HTML", scope="llm:admin"
    ),
    Route("POST", "/v1/jobs/{id}/cancel", cancel, None, JobAnswer, "End a job", scope="llm:admin"),
    Route(
        "POST",
        "/v1/jobs/{id}/resume",
        resume,
        None,
        JobAnswer,
        "Go on with a job",
        scope="llm:admin",
    ),
)
