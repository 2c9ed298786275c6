"""Jobs run to their end, and are gone on with where they did not reach it."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from canteen.core.errors import EngineError, Forbidden, InvalidRequest, JobNotFound
from canteen.lifecycle.jobs import report
from canteen.lifecycle.jobs.runner import Jobs
from tests.lifecycle.jobs.counting import jobs


async def _begun(there: Jobs, job_id: str, step: int) -> None:
    async for event in there.follow(job_id):
        if event.get("step") == step:
            return


async def test_a_job_runs_to_its_end_and_has_a_receipt(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a:latest"})

    done = await there.run(job.id)

    assert (done.state, done.result, done.error) == ("done", {"counted": 3}, "")
    assert done.receipt_ids == ("rcpt_0",)
    told = [event.get("event") for event in there.events(job.id).read()]
    assert told == ["submitted", "begun", "step", "step", "step", "done"]


async def test_whoever_follows_hears_everything_until_the_end(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a:latest"})
    there.start(job.id)

    told = [event async for event in there.follow(job.id)]

    assert [event["step"] for event in told if event.get("event") == "step"] == [1, 2, 3]
    assert told[-1]["event"] == "done"


async def test_a_job_that_fails_says_why_and_can_be_gone_on_with(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a:latest", "fails_at": 2})
    with pytest.raises(EngineError):
        await there.run(job.id)
    failed = there.get(job.id)

    done = await there.run(job.id)

    assert (failed.state, failed.error) == ("failed", "2 cannot be counted")
    assert (done.state, done.error) == ("done", "")
    assert done.receipt_ids == ("rcpt_0", "rcpt_1")


async def test_a_job_that_somebody_cancels_ends(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a:latest", "waits_at": 2})
    there.start(job.id)
    await _begun(there, job.id, 1)

    there.cancel(job.id)
    told = [event async for event in there.follow(job.id)]

    assert there.get(job.id).state == "cancelled"
    assert told[-1]["event"] == "cancelled"
    with pytest.raises(InvalidRequest, match="cancelled already"):
        there.cancel(job.id)


async def test_a_job_is_interrupted_with_its_service_and_gone_on_with_by_another(
    tmp_path: Path,
) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a:latest", "waits_at": 2})
    there.start(job.id)
    await _begun(there, job.id, 1)
    await there.close()
    interrupted = there.get(job.id)

    done = await jobs(tmp_path).run(job.id)

    assert interrupted.state == "interrupted"
    assert "resume" in interrupted.error
    assert done.state == "done"


async def test_two_jobs_do_not_make_one_model_at_once(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    first = await there.submit("count", {"name": "a:latest", "fails_at": 1})

    with pytest.raises(InvalidRequest, match="another job is making 'a:latest'"):
        await there.submit("count", {"name": "a:latest"})

    assert [path.name for path in (tmp_path / "jobs").iterdir()] == [first.id]
    with pytest.raises(EngineError):
        await there.run(first.id)
    second = await there.submit("count", {"name": "a:latest"})
    with pytest.raises(InvalidRequest, match="another job"):
        await there.run(first.id)
    assert (await there.run(second.id)).state == "done"


async def test_a_job_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a:latest"})
    await there.run(job.id)

    with pytest.raises(InvalidRequest, match="is done"):
        await there.run(job.id)


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("bake", {"name": "a"}, "there are count"),
        ("count", {"name": "a", "upto": 0}, "upto must be 1 or more"),
        ("count", {"name": "a", "up_to": 3}, "has no field 'up_to'; there are name, upto"),
    ],
)
async def test_what_is_wrong_is_told_before_anything_begins(
    tmp_path: Path, kind: str, fields: dict[str, Any], said: str
) -> None:
    there = jobs(tmp_path)

    with pytest.raises(InvalidRequest, match=said):
        await there.submit(kind, fields)

    assert there.list() == []
    assert not list((tmp_path / "jobs").glob("*"))


async def test_files_of_this_machine_are_not_for_those_elsewhere(tmp_path: Path) -> None:
    there = jobs(tmp_path)

    with pytest.raises(Forbidden):
        await there.submit("count", {"name": "a", "upto": 101}, is_remote=True)

    assert (await there.submit("count", {"name": "a", "upto": 101})).state == "queued"


async def test_a_job_is_found_by_what_its_id_begins_with(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a"})

    assert there.get(job.id[4:10]).id == job.id
    with pytest.raises(JobNotFound, match="no job 'nothing'"):
        there.get("nothing")


async def test_the_report_tells_what_was_foreseen_and_found(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a:latest"})
    done = await there.run(job.id)

    page = (there.folder(job.id) / "report.html").read_text()
    told = report.html(replace(done, error="<a>"), there.events(job.id).read())

    assert "count of a:latest" in page
    assert "&lt;a&gt;" in told
    assert "1 (0.5 to 2)" in page
    assert "<td>energy, Wh</td><td>not known</td><td>0.5</td>" in page
    assert "<svg" in page


async def test_a_line_that_a_killed_writer_left_is_no_event(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a", "fails_at": 1})
    with pytest.raises(EngineError):
        await there.run(job.id)
    with (there.folder(job.id) / "events.jsonl").open("a") as file:
        file.write('{"event": "st')

    await there.run(job.id)

    told = [event["event"] for event in there.events(job.id).read()]
    assert told[-3:] == ["step", "step", "done"]
    assert await asyncio.to_thread(there.logs, job.id) == ""
