"""`/v1/jobs`: long work that the service does in the background, and how it stands."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from canteen.api.errors import problem, status_of
from canteen.api.routing import Route, Served
from canteen.api.streaming import heartbeat, json_bytes, sse, stream
from canteen.api.wire import JsonObject, Wire
from canteen.core.errors import CanteenError, InvalidRequest
from canteen.lifecycle.jobs import report
from canteen.lifecycle.jobs.job import Job

SSE = "text/event-stream"
MOST_EXAMPLES = 1_000_000


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
    """How a job stands; times are seconds since 1970. `found` is what it took so far."""

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


async def submit(body: JobRequest, served: Served) -> Response:
    """Check a job, and begin it; 202, and the job as it stands."""
    jobs = served.services.jobs
    job = await jobs.submit(body.kind, body.spec, body.examples, is_remote=True)
    jobs.start(job.id)
    return _said(job, status=202)


async def every(served: Served) -> Response:
    """The jobs there are."""
    found = await asyncio.to_thread(served.services.jobs.list)
    return Response(json_bytes({"jobs": [asdict(job) for job in found]}), media_type=_JSON)


async def show(served: Served) -> Response:
    """A job, with what it took so far."""
    jobs = served.services.jobs
    job = await asyncio.to_thread(jobs.get, served.path["id"])
    told = await asyncio.to_thread(jobs.events(job.id).read)
    return Response(json_bytes(asdict(job) | {"found": report.taken(told)}), media_type=_JSON)


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
    """What a job's program said on standard error."""
    text = await asyncio.to_thread(served.services.jobs.logs, served.path["id"])
    return Response(text, media_type="text/plain")


async def page(served: Served) -> Response:
    """A job's report, as it stands."""
    jobs = served.services.jobs
    job = await asyncio.to_thread(jobs.get, served.path["id"])
    told = await asyncio.to_thread(jobs.events(job.id).read)
    return Response(await asyncio.to_thread(report.html, job, told), media_type="text/html")


async def cancel(served: Served) -> Response:
    """Have a job end; what it has learned so far is kept."""
    return _said(await asyncio.to_thread(served.services.jobs.cancel, served.path["id"]))


async def resume(served: Served) -> Response:
    """Go on with a job that failed, was cancelled or was killed; 202."""
    jobs = served.services.jobs
    job = await asyncio.to_thread(jobs.get, served.path["id"])
    if not job.is_over or job.state == "done":
        raise InvalidRequest(f"job {job.id} is {job.state}", param="job")
    jobs.start(job.id)
    return _said(job, status=202)


_JSON = "application/json"


def _said(job: Job, status: int = 200) -> Response:
    return Response(json_bytes(asdict(job)), status, media_type=_JSON)


def _last_words(error: CanteenError) -> bytes:
    return sse(json_bytes({"error": problem(error, status_of(error))}), "error")


ROUTES = (
    Route("GET", "/v1/jobs", every, None, JobList, "Every job"),
    Route("POST", "/v1/jobs", submit, JobRequest, JobAnswer, "Begin a job"),
    Route("GET", "/v1/jobs/{id}", show, None, JobAnswer, "How a job stands"),
    Route("GET", "/v1/jobs/{id}/events", events, None, None, "What a job tells", SSE),
    Route("GET", "/v1/jobs/{id}/logs", logs, None, None, "What its program said"),
    Route("GET", "/v1/jobs/{id}/report", page, None, None, "Its report, as HTML"),
    Route("POST", "/v1/jobs/{id}/cancel", cancel, None, JobAnswer, "End a job"),
    Route("POST", "/v1/jobs/{id}/resume", resume, None, JobAnswer, "Go on with a job"),
)
