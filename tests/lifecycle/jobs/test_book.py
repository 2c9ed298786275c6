"""Jobs whose process was killed do not stay under way."""

import subprocess
import sys
from pathlib import Path

import pytest

from canteen.core.errors import InvalidRequest
from canteen.lifecycle.jobs.book import GONE_AFTER_S, JobBook
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


def test_a_job_whose_process_was_killed_is_interrupted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    subprocess.run([sys.executable, "-c", ABANDON, url], check=False)

    (job,) = JobBook(connect(url)).list()

    assert (job.state, job.receipt_ids) == ("interrupted", ("rcpt_1",))
    assert "was ended" in job.error


def test_a_job_that_nobody_has_seen_for_long_is_nobodys(tmp_path: Path) -> None:
    clock = Hand()
    book = JobBook(connect(f"sqlite:///{tmp_path / 'jobs.db'}"), clock)
    book.add(Job("job_1", "count", "a:latest", {}, "queued", clock()))
    book.begin("job_1", "rcpt_1")
    clock.now_s += GONE_AFTER_S - 1
    assert book.get("job_1").state == "running"
    assert book.seen("job_1") == ""
    clock.now_s += GONE_AFTER_S - 1
    assert book.get("job_1").state == "running"
    clock.now_s += 2

    assert book.get("job_1").state == "interrupted"


def test_a_job_under_way_is_not_begun_again(tmp_path: Path) -> None:
    book = JobBook(connect(f"sqlite:///{tmp_path / 'jobs.db'}"))
    book.add(Job("job_1", "count", "a:latest", {}, "queued", 0.0))
    book.begin("job_1", "rcpt_1")

    with pytest.raises(InvalidRequest, match="is running"):
        book.begin("job_1", "rcpt_2")
