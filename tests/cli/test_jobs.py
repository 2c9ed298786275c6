"""Jobs that are there, from the shell: shown, told of, cancelled, removed."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from canteen.cli.main import main
from canteen.core.errors import EngineError
from canteen.lifecycle.jobs.job import Job
from canteen.lifecycle.jobs.runner import Jobs
from tests.lifecycle.jobs.counting import jobs, run

Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Runs the program in an empty home."""
    environ = {"CANTEEN_HOME": str(tmp_path)}
    return lambda *words: CliRunner().invoke(main, words, env=environ)


@pytest.fixture
def there(tmp_path: Path) -> Jobs:
    """The jobs of that home, which only count."""
    return jobs(tmp_path)


async def counted(there: Jobs) -> Job:
    job = await there.submit("count", {"name": "a", "tells_loss": True})
    return await run(there, job.id)


def test_a_job_that_is_done_is_shown_beside_what_was_foreseen(call: Call, there: Jobs) -> None:
    done = asyncio.run(counted(there))

    told = call("jobs", "show", done.id, "--follow")
    as_json = json.loads(call("jobs", "show", done.id, "--json").stdout)

    assert told.exit_code == 0, told.stderr
    assert f"{done.id} is done\n  counted: 3\n" in told.stdout
    assert "time, s" in told.stdout
    assert "1 (0.5 to 2)" in told.stdout
    assert f"report: {there.folder(done.id) / 'report.html'}" in told.stdout
    assert (as_json["state"], as_json["found"]["energy_wh"]) == ("done", 0.5)
    assert f"{done.id}  count  a:latest  done" in call("jobs", "list").stdout


def test_the_log_of_a_job_is_told(call: Call, there: Jobs) -> None:
    done = asyncio.run(counted(there))
    (there.folder(done.id) / "log").write_text("a warning\nand another\n")

    assert call("jobs", "logs", done.id).stdout == "a warning\nand another\n"
    assert json.loads(call("jobs", "logs", done.id, "--json").stdout) == {
        "log": "a warning\nand another\n"
    }


def test_a_job_that_waits_is_cancelled(call: Call, there: Jobs) -> None:
    job = asyncio.run(there.submit("count", {"name": "a"}))

    told = call("jobs", "cancel", job.id)
    again = call("jobs", "cancel", job.id)

    assert told.exit_code == 0
    assert told.stdout.startswith(f"{job.id} is cancelled: somebody cancelled it\n")
    assert (again.exit_code, again.stderr) == (1, f"canteen: job {job.id} is cancelled already\n")


def test_a_job_that_did_not_reach_its_end_says_why_and_what_to_do(call: Call, there: Jobs) -> None:
    async def failed() -> Job:
        job = await there.submit("count", {"name": "a", "fails_at": 2})
        with pytest.raises(EngineError):
            await run(there, job.id)
        return job

    job = asyncio.run(failed())

    told = call("jobs", "show", job.id).stdout

    assert f"{job.id} is failed: 2 cannot be counted\n" in told
    assert f"canteen jobs resume {job.id} goes on" in told
    assert f"canteen jobs logs {job.id}" in told


def test_a_job_under_way_shows_its_step_and_is_asked_to_end(call: Call, there: Jobs) -> None:
    async def begun() -> Job:
        job = await there.submit("count", {"name": "a"})
        return await there.begin(job.id)

    job = asyncio.run(begun())
    there.events(job.id).add({"event": "step", "step": 7, "steps": 1200})

    listed, cancelled = call("jobs", "list"), call("jobs", "cancel", job.id)

    assert "running  7 of 1,200" in listed.stdout
    assert cancelled.stdout.startswith(f"{job.id} was asked to end; canteen jobs show {job.id} ")


def test_a_job_that_is_over_is_removed(call: Call, there: Jobs) -> None:
    done = asyncio.run(counted(there))

    told = call("jobs", "rm", done.id)

    assert (told.exit_code, told.stdout) == (0, f"removed {done.id}\n")
    assert json.loads(call("jobs", "list", "--json").stdout) == []
    assert not there.folder(done.id).exists()
    assert call("jobs", "rm", done.id).exit_code == 1


def test_a_job_under_way_is_neither_removed_nor_gone_on_with(call: Call, there: Jobs) -> None:
    async def begun() -> Job:
        job = await there.submit("count", {"name": "a"})
        return await there.begin(job.id)

    job = asyncio.run(begun())

    resumed, removed = call("jobs", "resume", job.id), call("jobs", "rm", job.id)

    assert (resumed.exit_code, resumed.stderr) == (1, f"canteen: job {job.id} is running\n")
    assert (removed.exit_code, there.get(job.id).state) == (1, "running")
    assert "cancel it first" in removed.stderr
