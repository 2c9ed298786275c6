"""What is around the views: the key, the theme, the keyboard, the width of a phone."""

from typing import TYPE_CHECKING

import pytest

from tests.console.acting import held, show_a_key
from tests.serving import Server

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

VIEWS = ("play", "now", "footprint", "models", "tasks", "plan", "jobs", "keys")
NAMELESS = """
[...document.querySelectorAll("main :is(button, input, select, textarea, a)")]
  .filter((one) => !one.labels?.length && !one.ariaLabel && !one.textContent.trim())
  .map((one) => one.outerHTML)
"""


async def test_a_key_is_asked_for_and_kept_in_the_tab_only(
    page: "Page", keyed_server: Server
) -> None:
    secret = await show_a_key(page, keyed_server, "play", "llm:chat")
    # The line to write in is there without a key, the models are not.
    await page.get_by_label("Model", exact=True).wait_for()

    assert await page.evaluate("Object.values(sessionStorage)") == [secret]
    assert await page.evaluate("Object.values(localStorage)") == []
    assert await page.context.cookies() == []


async def test_a_refusal_that_comes_late_asks_for_no_key_again(
    page: "Page", keyed_server: Server
) -> None:
    idle = "**/v1/footprint/idle"
    refused = page.expect_response(lambda answer: answer.status == 401 and "idle" in answer.url)
    async with refused, held(page, idle):
        async with page.expect_request(idle):
            await page.goto(f"{keyed_server.url}/console#/footprint")
        await show_a_key(page, keyed_server, "footprint", "llm:footprint")
        await page.get_by_role("dialog").wait_for(state="hidden")
    await page.wait_for_load_state("networkidle")

    assert not await page.get_by_role("dialog").is_visible()


async def test_what_a_key_may_not_see_is_said_with_what_to_do(
    page: "Page", keyed_server: Server
) -> None:
    await show_a_key(page, keyed_server, "footprint", "llm:chat")

    await page.get_by_text("Use a key with the scope that is named").wait_for()


async def test_the_theme_can_be_switched_and_is_kept(console: "Page") -> None:
    before = await console.evaluate("getComputedStyle(document.body).backgroundColor")

    await console.get_by_role("button", name="Switch between light and dark").click()
    await console.reload()

    after = await console.evaluate("getComputedStyle(document.body).backgroundColor")
    assert after != before


async def test_the_keyboard_comes_first_to_a_way_past_the_navigation(
    page: "Page", echo_server: Server
) -> None:
    await page.goto(f"{echo_server.url}/console#/models")
    await page.locator("table").wait_for()

    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")

    assert await page.evaluate("document.activeElement.id") == "main"
    assert await page.title() == "Models · Canteen"
    assert await page.locator("table").count() == 1


async def test_going_back_finds_a_view_as_far_down_as_it_was_left(
    page: "Page", echo_server: Server
) -> None:
    await open_view(page, echo_server, "plan")
    await page.get_by_role("region", name="Your load on it").wait_for()
    await page.mouse.move(600, 400)
    await page.mouse.wheel(0, 700)
    await until_scrolled(page, 600)

    # A link would be scrolled to before it is clicked.
    await page.evaluate("location.hash = '#/keys'")
    await page.locator("main h1", has_text="Keys").wait_for()
    at_top = await page.evaluate("scrollY")
    await page.go_back()

    await until_scrolled(page, 600)
    assert at_top == 0


async def test_a_view_that_cannot_be_fetched_says_so_and_can_be_tried_again(
    page: "Page", echo_server: Server
) -> None:
    await page.route("**/console/keys.js", lambda route: route.abort())
    await page.goto(f"{echo_server.url}/console#/keys")
    await page.get_by_text("See whether `canteen serve` still runs").wait_for()

    await page.unroute("**/console/keys.js")
    await page.get_by_role("button", name="Try again").click()

    await page.locator("main h1", has_text="Keys").wait_for()


async def test_what_a_key_may_not_do_leaves_the_way_to_the_other_tasks(
    page: "Page", keyed_server: Server
) -> None:
    await show_a_key(page, keyed_server, "tasks/search", "llm:chat")

    await page.get_by_text("Use a key with the scope that is named").wait_for()

    await page.get_by_role("link", name="Summarize").wait_for()


async def test_no_view_is_wider_than_the_window(page: "Page", echo_server: Server) -> None:
    wide = []
    for width in (360, 768):
        await page.set_viewport_size({"width": width, "height": 740})
        for view in VIEWS:
            await open_view(page, echo_server, view)
            if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wide.append((view, width))

    assert wide == []


async def test_every_control_has_a_name(page: "Page", echo_server: Server) -> None:
    nameless = []
    for view in VIEWS:
        await open_view(page, echo_server, view)
        nameless += await page.evaluate(NAMELESS)

    assert nameless == []


async def until_scrolled(page: "Page", least: int) -> None:
    while await page.evaluate("scrollY") < least:
        await page.wait_for_timeout(20)


async def open_view(page: "Page", server: Server, view: str) -> None:
    """Go to a view, and wait until it is more than its heading."""
    await page.goto(f"{server.url}/console#/{view}")
    await page.locator(f"#views a[aria-current][href='#/{view}']").wait_for()
    await page.locator("main h1").wait_for(state="attached")
    await page.locator(".loading").wait_for(state="detached")
