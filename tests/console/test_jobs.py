"""A training in the console: its losses as they come, what it said, and its end."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from canteen.lifecycle.jobs.book import JobBook
from canteen.lifecycle.jobs.events import EVENTS, EventLog
from canteen.lifecycle.jobs.job import Job, new_job_id
from canteen.metering.store import connect
from tests import serving
from tests.conftest import pull
from tests.console.accessibility import findings
from tests.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

MARKUP = "<img src=x>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("jobs")
    home = pull(folder / "home", "echo", "echo-embed")
    made = serving.start(home, folder / "serve.log", {"CANTEEN_MODEL": "echo"})
    yield made
    serving.end(made)


@dataclass
class Training:
    """A job that this process works at, as far as the service can tell."""

    book: JobBook
    id: str
    events: EventLog
    folder: Path

    def step(self, number: int, loss: float) -> None:
        facts = {"steps": 20, "tokens": 8 * number, "tokens_per_s": 80.0, "memory_bytes": 10**9}
        self.events.add({"event": "step", "step": number, "loss": loss, **facts})


@pytest.fixture
def training(queued: Training) -> Training:
    queued.book.begin(queued.id, "rcpt_1")
    return queued


@pytest.fixture
def queued(server: Server) -> Training:
    home = server.log.parent / "home"
    job_id = new_job_id()
    book = JobBook(connect(f"sqlite:///{home / 'canteen.db'}"))
    estimate = {"time_s": {"low": 60.0, "central": 120.0, "high": 300.0}, "memory_bytes": 10**9}
    job = Job(
        job_id,
        "finetune",
        f"mood:{job_id[-6:]}",
        {"model": "echo"},
        "queued",
        time.time(),
        estimate=estimate,
    )
    book.add(job)
    folder = home / "jobs" / job_id
    folder.mkdir(parents=True)
    return Training(book, job_id, EventLog(folder / EVENTS), folder)


async def opened(page: Page, server: Server, training: Training) -> None:
    await page.goto(f"{server.url}/console#/jobs/{training.id}")
    await page.get_by_role("region", name="How it stands").wait_for()


async def test_losses_are_drawn_as_they_come(
    page: Page, server: Server, training: Training
) -> None:
    await opened(page, server, training)
    await page.get_by_text("It has not begun its first step").wait_for()

    training.step(1, 3.0)
    training.step(2, 2.0)
    await page.get_by_text("2 of 20").wait_for()
    before = await page.locator(".curve").first.get_attribute("d")
    training.step(3, 1.5)
    training.events.add({"event": "validation", "step": 3, "loss": 1.6, "perplexity": 4.95})
    await page.get_by_text("perplexity 4.95").wait_for()

    after = await page.locator(".curve").first.get_attribute("d")
    assert await findings(page) == []
    assert (str(before).count("L"), str(after).count("L")) == (1, 2)
    await expect(page.locator(".chart .mark.second")).to_have_count(1)


async def test_a_job_that_has_begun_is_queued_no_more(
    page: Page, server: Server, queued: Training
) -> None:
    await opened(page, server, queued)
    state = page.get_by_role("region", name="How it stands").locator(".state")
    await expect(state).to_have_text("queued")

    queued.book.begin(queued.id, "rcpt_1")
    queued.step(1, 3.0)

    await expect(state).to_have_text("running")


async def test_a_service_that_is_back_has_its_job_asked_for_again(
    page: Page, server: Server, queued: Training
) -> None:
    await page.clock.install()
    await page.route("**/events", lambda route: route.abort(), times=1)
    await opened(page, server, queued)
    await page.get_by_text("Cannot connect.").wait_for()
    queued.book.begin(queued.id, "rcpt_1")
    queued.step(5, 3.0)

    await page.clock.fast_forward(2000)

    await page.get_by_text("5 of 20").wait_for()
    await expect(page.get_by_role("alert")).to_have_count(0)
    await expect(page.get_by_role("region", name="How it stands")).to_contain_text("running")


async def test_its_end_is_told_with_what_it_took_and_made(
    page: Page, server: Server, training: Training
) -> None:
    training.step(20, 0.5)
    training.events.add({"event": "sample", "step": 20, "text": MARKUP})
    await opened(page, server, training)

    training.book.end(training.id, "done", result={"validation_loss": 0.625})

    await page.get_by_text("It made the model").wait_for()
    shown = await page.locator("main").inner_text()
    for text in ("Foreseen and found", "2 min (60 s", "0.625", MARKUP):
        assert text in shown
    assert not await page.get_by_role("button", name="Cancel").is_visible()


async def test_what_its_program_said_is_unfolded(
    page: Page, server: Server, training: Training
) -> None:
    (training.folder / "log.txt").write_text("epoch 1\n")
    await opened(page, server, training)

    await page.get_by_text("Logs", exact=True).click()

    await page.get_by_label("Logs").wait_for()


async def test_its_report_is_a_file_to_keep(page: Page, server: Server, training: Training) -> None:
    await opened(page, server, training)

    async with page.expect_download() as coming:
        await page.get_by_role("button", name="Download the report").click()

    assert (await coming.value).suggested_filename == f"{training.id}.html"


async def test_a_job_is_cancelled_only_after_it_was_asked(
    page: Page, server: Server, training: Training
) -> None:
    await opened(page, server, training)

    await page.get_by_role("button", name="Cancel").click()
    await page.get_by_role("button", name="End it").click()
    while training.book.seen(training.id) != "cancel":
        await page.wait_for_timeout(50)
    training.book.end(training.id, "cancelled", error="somebody cancelled it")

    await page.get_by_text("somebody cancelled it").wait_for()
    await page.get_by_role("button", name="Go on").wait_for()


async def test_a_job_that_is_none_is_told(page: Page, server: Server) -> None:
    await page.goto(f"{server.url}/console#/jobs/job_none")

    assert "job_none" in await page.get_by_role("alert").inner_text()


async def test_a_key_that_is_revoked_is_asked_for_once(page: Page, server: Server) -> None:
    asked: list[str] = []

    async def refuse(route: Route) -> None:
        asked.append(route.request.url)
        await route.fulfill(status=401, json={"detail": "no such key"})

    # No second look may be due before the first is refused.
    await page.clock.install(time=0)
    await page.clock.pause_at(1)
    await page.goto(f"{server.url}/console#/jobs")
    await page.get_by_role("heading", name="Jobs").wait_for()
    await page.get_by_text("Loading").wait_for(state="detached")
    await page.route("**/v1/jobs", refuse)

    await page.clock.run_for(3000)
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await page.clock.run_for(9000)

    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert len(asked) == 1
    await page.unroute("**/v1/jobs")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("alert")).to_have_count(0)
