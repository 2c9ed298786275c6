"""The views of the console that only look, and the one that keeps models."""

from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.conftest import Serve
from tests.serving import WITHIN_S, Server

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def receipt_id(echo_server: Server) -> str:
    """The receipt of an answer."""
    asked = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}
    url = f"{echo_server.url}/v1/chat/completions"
    answer = httpx.post(url, json=asked, timeout=WITHIN_S)
    return answer.headers["x-canteen-receipt"]


async def open_view(page: "Page", server: Server, view: str) -> "Page":
    await page.goto(f"{server.url}/console#/{view}")
    await page.locator("main h1").wait_for(state="attached")
    return page


async def test_one_glance_says_that_the_service_is_healthy(
    page: "Page", echo_server: Server, receipt_id: str
) -> None:
    await open_view(page, echo_server, "now")

    await page.get_by_text("Healthy", exact=True).wait_for()
    await page.get_by_role("link", name="Health of the service: ready").wait_for()
    card = await page.get_by_role("region", name="echo:latest").inner_text()
    for name in ("Running and waiting", "Tokens a second", "TTFT", "TPOT", "KV cache", "Memory"):
        assert name in card


async def test_a_service_that_is_gone_is_told(page: "Page", serve: Serve, echo_home: Path) -> None:
    server = serve(echo_home)
    await open_view(page, server, "models")
    await page.get_by_role("button", name="Load echo-embed:latest").wait_for()
    server.stop()

    # The browser itself says that nobody answers.
    await page.get_by_role("button", name="Load echo-embed:latest").click()

    await page.get_by_text("See whether `canteen serve` still runs").first.wait_for()


async def test_sums_are_shown_with_intervals_and_grades(
    page: "Page", echo_server: Server, receipt_id: str
) -> None:
    await open_view(page, echo_server, "footprint")
    # Today may be another day by now.
    await page.get_by_label("Time", exact=True).select_option("week")

    for way in ("hour", "day", "model", "key", "node"):
        await page.get_by_label("By", exact=True).select_option(way)
        table = page.get_by_role("table", name=f"By {way}")
        await table.locator(".interval").first.wait_for()
        await table.locator(".grade").first.wait_for()


async def test_phases_are_shown_as_the_meter_counted_them(
    page: "Page", echo_server: Server
) -> None:
    await open_view(page, echo_server, "footprint")

    await page.get_by_label("By", exact=True).select_option("phase")

    await page.get_by_text("being there for nobody in particular").wait_for()
    table = page.get_by_role("table", name="By phase")
    assert await table.locator(".interval").count() == 4 * 6


async def test_a_receipt_is_unfolded_to_its_sources(
    page: "Page", echo_server: Server, receipt_id: str
) -> None:
    await open_view(page, echo_server, "footprint")

    await page.get_by_label("Receipt").fill(receipt_id)
    await page.get_by_role("button", name="Open").click()

    await page.get_by_text("Every input, with its source").wait_for()
    await page.get_by_text("What the width of each interval comes from").wait_for()


async def test_a_receipt_that_is_none_is_told(page: "Page", echo_server: Server) -> None:
    await page.goto(f"{echo_server.url}/console#/footprint/rcpt_none")

    assert "no receipt 'rcpt_none'" in await page.get_by_role("alert").inner_text()


async def test_a_model_is_loaded_unloaded_and_deleted(
    page: "Page", serve: Serve, echo_home: Path
) -> None:
    server = serve(echo_home)
    await open_view(page, server, "models")

    await page.get_by_role("button", name="Load echo-embed:latest").click()
    await page.get_by_role("button", name="Unload echo-embed:latest").click()
    await page.get_by_text("Unloading echo-embed:latest: done.").wait_for()
    await page.get_by_role("button", name="Delete echo-embed:latest").click()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await page.get_by_text("Deleting echo-embed:latest: done.").wait_for()

    models = await page.request.get(f"{server.url}/v1/models")
    assert "echo-embed:latest" not in await models.text()


async def test_deleting_is_asked_about_first(page: "Page", echo_server: Server) -> None:
    await open_view(page, echo_server, "models")

    await page.get_by_role("button", name="Delete echo-embed:latest").click()
    await page.get_by_role("button", name="Cancel").click()

    models = await page.request.get(f"{echo_server.url}/v1/models")
    assert "echo-embed:latest" in await models.text()


async def test_a_pull_tells_how_it_goes_and_what_went_wrong(
    page: "Page", echo_server: Server
) -> None:
    await open_view(page, echo_server, "models")

    await page.get_by_label("Pull a model").fill("echo")
    await page.keyboard.press("Enter")
    await page.get_by_text("Pulling echo: done.").wait_for()
    await page.get_by_label("Pull a model").fill("none")
    await page.keyboard.press("Enter")

    assert "the menu has smollm2:135m" in await page.get_by_role("alert").inner_text()
