"""`/v1/jobs`: work that the service does in the background, and how it stands.

Of three kinds: `finetune` and `train` make models, `request` is any request to a model, answered
later.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from canteen.api.auth import check_scope
from canteen.api.background import Background
from canteen.api.background.preferring import accepted
from canteen.api.errors import problem, status_of
from canteen.api.native import requests
from canteen.api.routing import Route, Served
from canteen.api.streaming import heartbeat, json_bytes, sse, stream
from canteen.api.whole import whole
from canteen.api.wire import JsonObject, Wire
from canteen.core.access import Scope
from canteen.core.errors import CanteenError, JobNotFound
from canteen.lifecycle.jobs import report
from canteen.lifecycle.jobs.job import Job, abroad
from canteen.runtime.deferred.request import KIND, outline, told

SSE = "text/event-stream"
ADMIN: Scope = "llm:admin"
MOST_EXAMPLES = 1_000_000
MOST_LOG_BYTES = 1 << 16


class JobRequest(Wire):
    """A job: its kind and its specification. Of `finetune` and `train`, `spec` has the fields of
    these commands; of `request` it has `path` and `body` of a request to a model, and it may have
    `message_id` (the same one is answered once), `webhook` (a URL that is told of the end) and
    `timeout_s` (a day, if it does not say)."""

    kind: Literal["finetune", "train", "request"] = Field(description="What is to be done.")
    spec: JsonObject = Field(
        description="What is asked for; `name` is that of the model that is made."
    )
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
    if body.kind == KIND:
        return accepted(await requests.left(body.spec, served))
    check_scope(ADMIN, served.observe.caller)
    jobs = served.services.jobs

    async def begun() -> Job:
        job = await jobs.submit(body.kind, body.spec, body.examples, is_remote=True)
        jobs.start(job.id)
        return job

    return _said(await _unbroken(begun()), status=202)


async def every(served: Served) -> Response:
    """The jobs there are; of requests the newest hundred, without their bodies."""
    left = [outline(one) for one in await requests.listed(served)]
    models = []
    if _may_administer(served):
        models = [abroad(job) for job in await asyncio.to_thread(served.services.jobs.list)]
    newest = sorted([*left, *models], key=lambda one: one["created_s"], reverse=True)
    return whole({"jobs": newest})


async def show(served: Served) -> Response:
    """A job, with what it took so far; `?wait=20` waits so many seconds for its end."""
    one = await requests.found(served, requests.wait_s(served))
    if one is not None:
        return whole(told(one))
    jobs = served.services.jobs
    job = await _model_job(served)
    events = await asyncio.to_thread(jobs.events(job.id).read)
    return whole(abroad(job) | {"found": report.taken(events)})


async def events(served: Served) -> Response:
    """What a job tells, from its beginning to its end, as server-sent events."""
    one = await requests.found(served)
    coming = requests.standing(one, served) if one else _happening(await _model_job(served), served)

    async def frames() -> AsyncGenerator[bytes]:
        async with aclosing(coming):
            async for event in coming:
                yield sse(json_bytes(event))
        yield sse(b"[DONE]")

    return await stream(frames(), SSE, _last_words, heartbeat(b": \n\n", served.observe))


async def _happening(job: Job, served: Served) -> AsyncGenerator[Mapping[str, Any]]:
    async with aclosing(served.services.jobs.follow(job.id)) as coming:
        async for event in coming:
            yield event


async def logs(served: Served) -> Response:
    """The last that a job's program said on standard error."""
    jobs = served.services.jobs
    text = await asyncio.to_thread(jobs.logs, served.path["id"], MOST_LOG_BYTES)
    return Response(text, media_type="text/plain")


async def page(served: Served) -> Response:
    """A job's report, as it stands."""
    jobs = served.services.jobs
    job = await asyncio.to_thread(jobs.get, served.path["id"])
    events = await asyncio.to_thread(jobs.events(job.id).read)
    seen = replace(job, spec=abroad(job)["spec"])
    return Response(await asyncio.to_thread(report.html, seen, events), media_type="text/html")


async def cancel(served: Served) -> Response:
    """Have a job end; what it has learned so far is kept."""
    if await requests.found(served) is not None:
        return whole(
            told(await Background.of(served.request).cancel(served.path["id"], served.observe))
        )
    job = await _model_job(served)
    return _said(await asyncio.to_thread(served.services.jobs.cancel, job.id))


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
    if await requests.found(served) is not None:
        await Background.of(served.request).remove(served.path["id"], served.observe)
        return whole({"removed": served.path["id"]})
    check_scope(ADMIN, served.observe.caller)
    job = await asyncio.to_thread(served.services.jobs.remove, served.path["id"])
    return whole({"removed": job.id})


async def _model_job(served: Served) -> Job:
    """The job that makes a model and goes by the id; raises JobNotFound."""
    if not _may_administer(served):
        raise JobNotFound(served.path["id"])
    return await asyncio.to_thread(served.services.jobs.get, served.path["id"])


def _may_administer(served: Served) -> bool:
    caller = served.observe.caller
    return caller is None or caller.may(ADMIN)


async def _unbroken(work: Coroutine[Any, Any, Job]) -> Job:
    """Do it to its end, also for a caller who goes away: what is kept is begun."""
    return await asyncio.shield(asyncio.ensure_future(work))


def _said(job: Job, status: int = 200) -> Response:
    return whole(abroad(job), status=status)


def _last_words(error: CanteenError) -> bytes:
    return sse(json_bytes({"error": problem(error, status_of(error))}), "error")


ROUTES = (
    Route("GET", "/v1/jobs", every, None, JobList, "The jobs", scope="key"),
    Route("POST", "/v1/jobs", submit, JobRequest, JobAnswer, "Begin a job", scope="key"),
    Route("GET", "/v1/jobs/{id}", show, None, JobAnswer, "How a job stands", scope="key"),
    Route(
        "DELETE", "/v1/jobs/{id}", remove, None, Removed, "Forget a job that is over", scope="key"
    ),
    Route("GET", "/v1/jobs/{id}/events", events, None, None, "What a job tells", SSE, scope="key"),
    Route(
        "GET",
        "/v1/jobs/{id}/logs",
        logs,
        None,
        None,
        "The last that its program said",
        scope=ADMIN,
    ),
    Route("GET", "/v1/jobs/{id}/report", page, None, None, "Its report, as HTML", scope=ADMIN),
    Route("POST", "/v1/jobs/{id}/cancel", cancel, None, JobAnswer, "End a job", scope="key"),
    Route(
        "POST",
        "/v1/jobs/{id}/resume",
        resume,
        None,
        JobAnswer,
        "Go on with a job",
        scope=ADMIN,
    ),
)
