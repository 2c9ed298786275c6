"""A job done in the foreground: its specification from options and files, its progress, its end."""

import asyncio
import contextlib
import json
import sys
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from canteen.cli import job_text, store
from canteen.core.errors import InvalidRequest

if TYPE_CHECKING:
    from canteen.bootstrap import Services
    from canteen.lifecycle.jobs.job import Job

Command = Callable[..., Any]
# Without a terminal, steps are told so many times in all.
_TOLD_STEPS = 20
# For the last words of a job that is over.
_TOLD_WITHIN_S = 5.0


def options(command: Command) -> Command:
    """What all jobs can be told."""
    command = click.option(
        "--spec", type=click.Path(exists=True, dir_okay=False), help="A TOML or JSON file."
    )(command)
    return click.option("--dry-run", is_flag=True, help="Check and estimate, and no more.")(command)


def fields(ctx: click.Context, asked: type[Any], options: dict[str, Any]) -> dict[str, Any]:
    """The fields of a specification: those of its file, and over them what was given as options.

    `dry_run` is left among them for `do`.
    """
    told = _file(options.pop("spec"))
    given = {
        name: value
        for name, value in options.items()
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT and value not in (None, "")
    }
    values = {**told, **given}
    for one in asked.__dataclass_fields__:
        if isinstance(values.get(one), list):
            values[one] = tuple(values[one])
    return values


def do(kind: str, values: dict[str, Any], *, needs: str = "", is_json: bool) -> None:
    """Submit a job and work at it to its end; `needs` is a model that is pulled if it is not there.

    Raises CanteenError, with the job kept where it had begun; exits with 1 where it was cancelled.
    """
    dry_run = values.pop("dry_run", False)
    if not values.get("name"):
        raise InvalidRequest("say what the result is called with --name, as in mood:latest")
    if dry_run:
        job = asyncio.run(_foreseen(kind, values, needs, is_quiet=is_json))
        if is_json:
            store.echo_json({"spec": job.spec, "estimate": job.estimate})
            return
        for line in job_text.foreseen(job):
            click.echo(line)
        return
    _ended(asyncio.run(_do(kind, values, needs, is_quiet=is_json)), is_json=is_json)


def resume(job_id: str, *, is_json: bool) -> None:
    """Go on with a job in the foreground."""
    _ended(asyncio.run(_resumed(job_id, is_quiet=is_json)), is_json=is_json)


def _ended(job: "Job", *, is_json: bool) -> None:
    """What came of a job, also for scripts: one that is not done is no success."""
    tell(job, is_json=is_json)
    if job.state != "done":
        click.get_current_context().exit(1)


def tell(job: "Job", *, is_json: bool) -> None:
    """What came of it."""
    if is_json:
        store.echo_json(asdict(job))
        return
    for line in job_text.came_of(job):
        click.echo(line)


async def _foreseen(kind: str, values: Mapping[str, Any], needs: str, *, is_quiet: bool) -> "Job":
    async with _with(needs, is_quiet=is_quiet) as services:
        return await services.jobs.foresee(kind, values)


async def _do(kind: str, values: Mapping[str, Any], needs: str, *, is_quiet: bool) -> "Job":
    async with _with(needs, is_quiet=is_quiet) as services:
        job = await services.jobs.submit(kind, values)
        if not is_quiet:
            for line in job_text.foreseen(job):
                click.echo(line, err=True)
        return await _to_its_end(services, job.id, 0, is_quiet=is_quiet)


async def _resumed(job_id: str, *, is_quiet: bool) -> "Job":
    async with _with("", is_quiet=is_quiet) as services:
        job = services.jobs.queue(job_id)
        known = len(services.jobs.events(job.id).read())
        return await _to_its_end(services, job.id, known, is_quiet=is_quiet)


@contextlib.asynccontextmanager
async def _with(model: str, *, is_quiet: bool) -> AsyncIterator["Services"]:
    """The services, for the time of the block, with a model in the store if one is named."""
    services = store.services()
    try:
        if model:
            await store.ensure(services, model, is_quiet=is_quiet)
        yield services
    finally:
        await services.close()


async def _to_its_end(
    services: "Services", job_id: str, num_known: int, *, is_quiet: bool
) -> "Job":
    """Work at a job, and tell its events but the first so many."""
    jobs = services.jobs
    job = await jobs.begin(job_id)
    if not is_quiet:
        said = f"{job.id}: Ctrl-C interrupts it, canteen jobs resume {job.id} goes on"
        click.echo(said, err=True)
    telling = asyncio.ensure_future(_show(jobs.follow(job.id, num_known), is_quiet=is_quiet))
    ended: Job | None = None
    try:
        ended = await jobs.work(job)
        return ended
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(telling, _TOLD_WITHIN_S)
        if not is_quiet:
            click.echo(f"report: {jobs.folder(job.id) / 'report.html'}", err=True)
        if ended is None and not is_quiet:
            click.echo(job_text.onward(job.id), err=True)


async def follow(events: AsyncIterator[Mapping[str, Any]]) -> None:
    """Tell people what happens."""
    await _show(events, is_quiet=False)


async def _show(events: AsyncIterator[Mapping[str, Any]], *, is_quiet: bool) -> None:
    if is_quiet:
        async for _ in events:
            pass
    elif sys.stderr.isatty():
        await _bar(events)
    else:
        await _lines(events)


async def _lines(events: AsyncIterator[Mapping[str, Any]]) -> None:
    said = ""
    async for event in events:
        every = max(1, event.get("steps", 0) // _TOLD_STEPS)
        if event.get("event") == "step" and event["step"] % every and event["step"] != 1:
            continue
        line = job_text.told(event)
        if line and line != said:
            said = line
            print(line, file=sys.stderr, flush=True)


async def _bar(events: AsyncIterator[Mapping[str, Any]]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task("", total=None)
        async for event in events:
            if event.get("event") == "step":
                bars.update(
                    bar,
                    total=event["steps"],
                    completed=event["step"],
                    description=job_text.told(event),
                )
            elif line := job_text.told(event):
                bars.console.print(line, markup=False, highlight=False)


def _file(name: str | None) -> dict[str, Any]:
    """A specification that was written down; raises InvalidRequest."""
    if name is None:
        return {}
    path = Path(name)
    try:
        text = path.read_text("utf-8")
        told = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as exc:
        raise InvalidRequest(f"{path.name} is not valid TOML or JSON: {exc}", param="spec") from exc
    if not isinstance(told, dict):
        raise InvalidRequest(f"{path.name} must hold an object of fields", param="spec")
    told.pop("kind", None)
    return told
