"""Jobs whose process was killed do not stay under way."""

import subprocess
import sys
from pathlib import Path

import pytest

from canteen.core.errors import InvalidRequest
from canteen.core.processes import GONE_AFTER_S
from canteen.lifecycle.jobs.book import JobBook
from canteen.lifecycle.jobs.job import Job
from canteen.metering.store import connect

ABANDON = """
import os, sys
from canteen.lifecycle.jobs.book import JobBook
from canteen.lifecycle.jobs.job import Job
from canteen.metering.store import connect
book = JobBook(connect(sys.argv[1]))
book.add(Job("job_1", "count", "a:latest", {}, "queued", 0.0))
book.begin("job_1", "rcpt_1")
os.kill(os.getpid(), 9)
"""


class Hand:
    """A clock that a test turns."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty database."""
    return f"sqlite:///{tmp_path / 'jobs.db'}"


def begin(book: JobBook, clock: Hand) -> None:
    book.add(Job("job_1", "count", "a:latest", {}, "queued", clock()))
    book.begin("job_1", "rcpt_1")


def test_a_job_whose_process_was_killed_is_interrupted(url: str) -> None:
    subprocess.run([sys.executable, "-c", ABANDON, url], check=False)

    (job,) = JobBook(connect(url)).list()

    assert (job.state, job.receipt_ids) == ("interrupted", ("rcpt_1",))
    assert "was ended" in job.error


def test_a_job_of_another_machine_that_nobody_has_seen_for_long_is_nobodys(url: str) -> None:
    clock = Hand()
    there, here = (JobBook(connect(url), clock, host) for host in ("there", "here"))
    begin(there, clock)
    clock.now_s += GONE_AFTER_S - 1
    assert here.get("job_1").state == "running"
    assert there.seen("job_1") == ""
    clock.now_s += GONE_AFTER_S - 1
    assert not here.is_over("job_1")
    clock.now_s += 2

    assert here.is_over("job_1")
    assert here.get("job_1").state == "interrupted"


def test_a_job_of_this_machine_is_trusted_as_long_as_its_process_lives(url: str) -> None:
    clock = Hand()
    book = JobBook(connect(url), clock)
    begin(book, clock)

    # It was stopped, or the machine slept.
    clock.now_s += 100 * GONE_AFTER_S

    assert book.get("job_1").state == "running"
    assert book.seen("job_1") == ""


def test_a_job_whose_process_id_another_process_has_is_interrupted(url: str) -> None:
    tables = connect(url)
    book = JobBook(tables)
    begin(book, Hand())
    with tables.writing() as connection:
        connection.execute("UPDATE jobs SET born = 'another boot/1'")

    assert book.is_over("job_1")
    assert book.get("job_1").state == "interrupted"


def test_whoever_was_held_for_dead_touches_the_job_no_more(url: str) -> None:
    clock = Hand()
    slow, other = (JobBook(connect(url), clock, host) for host in ("slow", "other"))
    begin(slow, clock)
    clock.now_s += 2 * GONE_AFTER_S
    other.queue("job_1")
    other.begin("job_1", "rcpt_2")

    assert slow.seen("job_1") is None
    slow.end("job_1", "failed", error="it slept")

    assert (other.get("job_1").state, other.get("job_1").error) == ("running", "")


def test_a_job_that_was_cancelled_in_the_queue_does_not_begin(url: str) -> None:
    book = JobBook(connect(url))
    book.add(Job("job_1", "count", "a:latest", {}, "queued", 0.0))
    book.cancel("job_1")

    with pytest.raises(InvalidRequest, match="is cancelled"):
        book.begin("job_1", "rcpt_1")

    assert book.get("job_1").state == "cancelled"


def test_a_job_at_work_is_told_to_end_and_still_runs_until_it_does(url: str) -> None:
    book = JobBook(connect(url))
    begin(book, Hand())

    book.cancel("job_1")

    assert (book.get("job_1").state, book.seen("job_1")) == ("running", "cancel")


def test_a_job_is_in_one_queue_only(url: str) -> None:
    here, there = (JobBook(connect(url), host=host) for host in ("here", "there"))
    here.add(Job("job_1", "count", "a:latest", {}, "queued", 0.0))

    with pytest.raises(InvalidRequest, match="is queued"):
        there.begin("job_1", "rcpt_1")

    assert here.begin("job_1", "rcpt_2").receipt_ids == ("rcpt_2",)


def test_a_job_under_way_is_not_begun_again(url: str) -> None:
    book = JobBook(connect(url))
    begin(book, Hand())

    with pytest.raises(InvalidRequest, match="is running"):
        book.begin("job_1", "rcpt_2")
