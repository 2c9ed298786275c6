"""Planning in the console."""

from typing import TYPE_CHECKING

import pytest

from tests.serving import Server

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_plan_shows_memory_and_figures(page: "Page", echo_server: Server) -> None:
    await page.goto(f"{echo_server.url}/console#/plan")

    assert "Fits:" in await page.get_by_role("region", name="Memory").inner_text()
    figures = await page.get_by_role("region", name="Figures").inner_text()
    assert "Energy of a request" in figures


async def test_a_plan_that_cannot_be_made_says_why(page: "Page", echo_server: Server) -> None:
    await page.goto(f"{echo_server.url}/console#/plan")
    await page.get_by_role("region", name="Memory").wait_for()

    await page.get_by_label("Device").fill("abacus")
    await page.get_by_role("button", name="Plan").click()

    assert "abacus" in await page.get_by_role("alert").inner_text()
