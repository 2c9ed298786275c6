"""Jobs run to their end, and are gone on with where they did not reach it."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from canteen.core.errors import EngineError, Forbidden, InvalidRequest, JobNotFound
from canteen.lifecycle.jobs import report
from canteen.lifecycle.jobs.events import Foretold
from canteen.lifecycle.jobs.runner import CHECKPOINTS
from canteen.metering.store import connect
from tests.lifecycle.jobs.counting import Refusing, begun, jobs, run, until


def folders(home: Path) -> list[str]:
    return [path.name for path in (home / "jobs").glob("*")]


async def test_a_job_runs_to_its_end_and_has_a_receipt(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a:latest"})

    done = await run(there, job.id)

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


async def test_whoever_knows_the_beginning_hears_only_what_is_new(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a:latest", "fails_at": 2})
    with pytest.raises(EngineError):
        await run(there, job.id)
    known = len(there.events(job.id).read())
    await run(there, job.id)

    told = [event.get("event") async for event in there.follow(job.id, known)]

    assert told == ["begun", "step", "done"]


async def test_the_latest_step_of_a_job_is_found_among_its_last_events(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a:latest", "upto": 2000})
    before = there.events(job.id).latest("step")
    await run(there, job.id)

    found = there.events(job.id).latest("step")

    assert before is None
    assert found is not None
    assert found["step"] == 2000
    assert there.events("job_0").latest("step") is None


async def test_a_job_that_fails_says_why_and_can_be_gone_on_with(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a:latest", "fails_at": 2})
    with pytest.raises(EngineError):
        await run(there, job.id)
    failed = there.get(job.id)

    done = await run(there, job.id)

    assert (failed.state, failed.error) == ("failed", "2 cannot be counted")
    assert (done.state, done.error) == ("done", "")
    assert done.receipt_ids == ("rcpt_0", "rcpt_1")


async def test_a_job_that_somebody_cancels_ends(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a:latest", "waits_at": 2})
    there.start(job.id)
    await begun(there, job.id, 1)

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
    await begun(there, job.id, 1)
    await there.close()
    interrupted = there.get(job.id)

    done = await run(jobs(tmp_path), job.id)

    assert interrupted.state == "interrupted"
    assert "Ctrl-C" in interrupted.error
    assert done.state == "done"


async def test_two_jobs_do_not_make_one_model_at_once(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    first = await there.submit("count", {"name": "a:latest", "fails_at": 1})

    with pytest.raises(InvalidRequest, match="another job is making 'a:latest'"):
        await there.submit("count", {"name": "a:latest"})

    assert folders(tmp_path) == [first.id]
    with pytest.raises(EngineError):
        await run(there, first.id)
    second = await there.submit("count", {"name": "a:latest"})
    with pytest.raises(InvalidRequest, match="another job"):
        await run(there, first.id)
    assert (await run(there, second.id)).state == "done"


async def test_a_job_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a:latest"})
    await run(there, job.id)

    with pytest.raises(InvalidRequest, match="is done"):
        await run(there, job.id)


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
    assert not folders(tmp_path)


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
    job = await there.submit("count", {"name": "a:latest", "tells_loss": True})
    done = await run(there, job.id)

    page = (there.folder(job.id) / "report.html").read_text()
    told = report.html(replace(done, error="<a>"), there.events(job.id).read())

    assert "count of a:latest" in page
    assert "&lt;a&gt;" in told
    assert "1 (0.5 to 2)" in page
    assert "<td>energy, Wh</td><td>not known</td><td>0.5</td>" in page
    assert "<svg" in page


@pytest.mark.parametrize(
    "cut", ['{"event": "st', '{"event": "step", "use": {"mfu": 0.5}', '"\udcff']
)
async def test_a_line_that_a_killed_writer_left_is_no_event(tmp_path: Path, cut: str) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a", "fails_at": 1})
    with pytest.raises(EngineError):
        await run(there, job.id)
    with (there.folder(job.id) / "events.jsonl").open("a", errors="surrogateescape") as file:
        file.write(cut)

    await run(there, job.id)

    told = [event["event"] for event in there.events(job.id).read()]
    assert told[-3:] == ["step", "step", "done"]
    assert await asyncio.to_thread(there.logs, job.id) == ""


async def test_a_database_that_is_locked_for_a_while_ends_no_job(tmp_path: Path) -> None:
    tables = Refusing(connect(f"sqlite:///{tmp_path / 'canteen.db'}"))
    there = jobs(tmp_path, tables=tables)
    job = await there.submit("count", {"name": "a", "waits_at": 2})
    there.start(job.id)
    await begun(there, job.id, 1)

    # It is to be seen, and its end is to be kept, and neither can be.
    tables.refusals = 2
    await until(lambda: tables.refusals < 2)
    (there.folder(job.id) / "go").touch()
    told = [event async for event in there.follow(job.id)]

    assert tables.refusals == 0
    assert there.get(job.id).state == "done"
    assert told[-1]["event"] == "done"


async def test_jobs_of_one_service_are_done_one_after_another(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    first, second, third = [
        await there.submit("count", {"name": name, "waits_at": 2}) for name in "abc"
    ]
    (there.folder(third.id) / "go").touch()
    for job in (first, second, third):
        there.start(job.id)
    await begun(there, first.id, 1)

    there.cancel(second.id)
    waiting = there.get(third.id).state
    (there.folder(first.id) / "go").touch()
    async for _ in there.follow(third.id):
        pass

    assert waiting == "queued"
    assert [job.state for job in there.list()] == ["done", "cancelled", "done"]
    assert there.events(second.id).read()[-1]["event"] == "submitted"
    ended, begins = there.events(first.id).read()[-1], there.events(third.id).read()[1]
    assert (ended["event"], begins["event"]) == ("done", "begun")
    assert ended["at_s"] <= begins["at_s"]


async def test_jobs_that_wait_are_interrupted_with_their_service(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    first, second = [await there.submit("count", {"name": name, "waits_at": 2}) for name in "ab"]
    there.start(first.id)
    there.start(second.id)
    await begun(there, first.id, 1)

    await there.close()

    assert [job.state for job in there.list()] == ["interrupted", "interrupted"]
    there.queue(second.id)
    with pytest.raises(InvalidRequest, match="is queued"):
        there.queue(second.id)


async def test_a_job_without_its_folder_fails_and_says_why(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a"})
    shutil.rmtree(there.folder(job.id))

    with pytest.raises(OSError, match="No such file"):
        await run(there, job.id)

    failed = there.get(job.id)
    assert (failed.state, failed.error) == (
        "failed",
        "the disk refused it: No such file or directory",
    )


async def test_what_nobody_foresaw_is_a_failure(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a", "breaks_at": 2})

    with pytest.raises(ValueError, match="2"):
        await run(there, job.id)

    failed = there.get(job.id)
    assert failed.state == "failed"
    assert "nobody foresaw" in failed.error
    assert (await run(there, job.id)).state == "done"


async def test_whoever_goes_away_while_a_job_is_kept_leaves_no_half(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    asking = asyncio.ensure_future(there.submit("count", {"name": "a"}))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    await until(there.list)

    (kept,) = there.list()
    assert folders(tmp_path) == [kept.id]
    assert [event["event"] for event in there.events(kept.id).read()] == ["submitted"]


async def test_checkpoints_of_what_is_done_are_removed(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a", "fails_at": 2})
    checkpoints = there.folder(job.id) / CHECKPOINTS
    with pytest.raises(EngineError):
        await run(there, job.id)
    kept = checkpoints.exists()

    await run(there, job.id)

    assert kept
    assert not checkpoints.exists()


async def test_a_job_that_is_over_can_be_removed(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a"})
    with pytest.raises(InvalidRequest, match="is queued; cancel it first"):
        there.remove(job.id)
    await run(there, job.id)

    there.remove(job.id)

    assert there.list() == []
    assert folders(tmp_path) == []
    with pytest.raises(JobNotFound):
        there.remove(job.id)


async def test_what_is_only_foreseen_leaves_nothing(tmp_path: Path) -> None:
    there = jobs(tmp_path)

    foreseen = await there.foresee("count", {"name": "a"})

    assert foreseen.estimate["time_s"]["central"] == 1.0
    assert there.list() == []
    assert folders(tmp_path) == []


async def test_a_step_that_was_done_twice_is_told_once(tmp_path: Path) -> None:
    there = jobs(tmp_path)
    job = await there.submit("count", {"name": "a"})
    samples = ((1, "old"), (2, "two"), (1, "new"))

    page = report.html(
        job,
        [{"event": "sample", "step": step, "text": text, "at_s": 0.0} for step, text in samples],
    )

    assert "<td>1</td><td>new</td>" in page
    assert page.index("new") < page.index("two")
    assert "old" not in page


def test_a_step_foretells_when_the_last_will_be_done() -> None:
    moments_s = iter((10.0, 12.0, 13.0, 23.0))
    foretold = Foretold(lambda: next(moments_s))

    told = [foretold({"event": "step", "step": step, "steps": 10}) for step in (1, 2, 3, 4)]

    assert [event.get("eta_s") for event in told] == [None, 16.0, 10.5, 12.0]
    assert foretold({"event": "checkpoint", "step": 4}) == {"event": "checkpoint", "step": 4}
