"""`canteen jobs`: what long work there is, how it stands, and what to do about it."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from canteen.cli import store, working

if TYPE_CHECKING:
    from canteen.lifecycle.jobs.job import Job
    from canteen.lifecycle.jobs.runner import Jobs


@click.group
def command() -> None:
    """The jobs that make models: how they stand, and what to do about it.

    Each command has --json.
    """


@command.command("list")
@store.as_json
def list_(is_json: bool) -> None:
    """Every training, the newest first. Requests left for later are at GET /v1/jobs."""
    jobs = store.services().jobs
    found = jobs.list()
    if is_json:
        store.echo_json([asdict(job) for job in found])
        return
    rows = [
        (job.id, job.kind, job.name, job.state, _progress(jobs, job), _when(job), job.error[:60])
        for job in found
    ]
    store.echo_table(("ID", "KIND", "NAME", "STATE", "STEP", "BEGUN", "WHY"), rows)


@command.command
@click.argument("job_id", metavar="ID")
@click.option("--follow", is_flag=True, help="Tell what happens until it is over.")
@store.as_json
def show(job_id: str, follow: bool, is_json: bool) -> None:
    """A job: what was asked for, what was foreseen and found, and where its report is."""
    from canteen.lifecycle.jobs import report

    jobs = store.services().jobs
    job = jobs.get(job_id)
    if follow:
        asyncio.run(working.follow(jobs.follow(job.id)))
        job = jobs.get(job.id)
    events = jobs.events(job.id).read()
    if is_json:
        store.echo_json(asdict(job) | {"found": report.taken(events)})
        return
    working.tell(job, is_json=False)
    store.echo_table(("", "FORESEEN", "FOUND"), report.compared(job, events))
    path = jobs.folder(job.id) / "report.html"
    if path.exists():
        click.echo(f"report: {path}")


@command.command
@click.argument("job_id", metavar="ID")
@store.as_json
def logs(job_id: str, is_json: bool) -> None:
    """What a job's program said on standard error."""
    text = store.services().jobs.logs(job_id)
    if is_json:
        store.echo_json({"log": text})
    else:
        click.echo(text, nl=False)


@command.command
@click.argument("job_id", metavar="ID")
@store.as_json
def cancel(job_id: str, is_json: bool) -> None:
    """Have whoever works at a job end it; what it has learned so far is kept."""
    job = store.services().jobs.cancel(job_id)
    if job.is_over or is_json:
        working.tell(job, is_json=is_json)
    else:
        click.echo(f"{job.id} was asked to end; canteen jobs show {job.id} tells whether it has")


@command.command
@click.argument("job_id", metavar="ID")
@store.as_json
def resume(job_id: str, is_json: bool) -> None:
    """Go on with a job that failed, was cancelled or was killed, from its last checkpoint."""
    working.resume(job_id, is_json=is_json)


@command.command
@click.argument("job_id", metavar="ID")
@store.as_json
def rm(job_id: str, is_json: bool) -> None:
    """Forget a job that is over, with its files; its receipts and the model it made stay."""
    job = store.services().jobs.remove(job_id)
    if is_json:
        store.echo_json({"removed": job.id})
    else:
        click.echo(f"removed {job.id}")


def _progress(jobs: "Jobs", job: "Job") -> str:
    """How far one is that is worked at."""
    step = jobs.events(job.id).latest("step") if job.state == "running" else None
    return "" if step is None else f"{step['step']:,} of {step['steps']:,}"


def _when(job: "Job") -> str:
    moment = datetime.fromtimestamp(job.started_s or job.created_s, UTC)
    return moment.isoformat(timespec="seconds")
