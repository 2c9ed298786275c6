"""Planning in the console."""

import asyncio

import pytest
import pytest_asyncio
from playwright.async_api import Page, Request, Route, expect

from tests.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

CUT = """
[...document.querySelectorAll("main .scroll")]
  .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.ariaLabel)
"""


@pytest_asyncio.fixture(loop_scope="session")
async def planner(page: Page, echo_server: Server) -> Page:
    """The planner with its first plan."""
    await page.goto(f"{echo_server.url}/console#/plan")
    await page.get_by_role("region", name="Your load on it").wait_for()
    return page


async def test_the_first_plan_says_whether_it_fits_what_it_costs_and_carries(
    planner: Page,
) -> None:
    memory = await planner.get_by_role("region", name="Memory").inner_text()
    assert "It fits" in memory
    assert "KV cache" in memory
    assert "above 37% of full load" in await planner.locator("section.card .said").inner_text()
    await expect(planner.locator(".cost .even-range")).to_have_count(2)
    assert "Energy" in await planner.get_by_role("region", name="One request").inner_text()
    load = await planner.get_by_role("region", name="Your load on it").inner_text()
    assert "95 of 100" in load
    machines = planner.get_by_role("region", name="The cheapest machines for your load")
    assert "g6.xlarge" in await machines.inner_text()


async def test_every_uncertain_figure_is_drawn_with_its_interval(planner: Page) -> None:
    figures = planner.get_by_role("region", name="One request").locator(".figure")

    assert await figures.count() == await figures.locator(".interval").count() == 8


@pytest.mark.parametrize("width", [390, 1280])
async def test_tables_are_seen_whole(planner: Page, width: int) -> None:
    await planner.set_viewport_size({"width": width, "height": 800})

    await expect(planner.locator(".scroll")).to_have_count(4)
    assert await planner.evaluate(CUT) == []


async def test_the_plots_follow_a_slider(planner: Page) -> None:
    before = await planner.locator(".memory").get_attribute("aria-label")

    await planner.get_by_label("Weights as").focus()
    await planner.keyboard.press("Home")

    await planner.locator(f".memory:not([aria-label='{before}'])").wait_for()
    assert await planner.locator("output").first.inner_text() == "as published"


async def test_figures_are_told_of_the_tokens_they_are_of(planner: Page) -> None:
    request = planner.get_by_role("region", name="One request")
    async with planner.expect_request("**/v1/plan"):
        await planner.get_by_label("Answer, tokens").fill("100")
    await request.get_by_text("512 + 100 tokens").wait_for()

    async with planner.expect_request("**/v1/plan") as asked:
        await planner.get_by_label("Answer, tokens").fill("")

    await request.get_by_text("512 + 256 tokens").wait_for()
    assert '"completion_tokens":256' in ((await asked.value).post_data or "")


async def test_a_prompt_of_no_tokens_is_asked_for_and_refused(planner: Page) -> None:
    await planner.get_by_label("Prompt, tokens").fill("0")

    assert "prompt_tokens" in await planner.get_by_role("alert").inner_text()


async def test_a_machine_for_nothing_is_asked_for_and_refused(planner: Page) -> None:
    await planner.get_by_label("Machine", exact=True).select_option("device:A100")

    await planner.get_by_label("Price of an hour, $").fill("0")

    assert "price_usd_per_h" in await planner.get_by_role("alert").inner_text()


async def test_what_is_not_asked_any_more_is_given_up(planner: Page) -> None:
    async def hold_the_first(route: Route) -> None:
        if '"context_length":1024' not in (route.request.post_data or ""):
            await route.continue_()

    await planner.route("**/v1/plan", hold_the_first)
    async with planner.expect_request("**/v1/plan"):
        await planner.get_by_label("Context").fill("0")
    # The light may give up, too.
    failed = planner.expect_event("requestfailed", lambda one: one.url.endswith("/v1/plan"))
    async with failed as given_up:
        await planner.get_by_label("Context").fill("1")
    memory = planner.get_by_role("region", name="Memory")
    await memory.get_by_text("2,048 tokens at once").wait_for()

    assert '"context_length":1024' in ((await given_up.value).post_data or "")


async def test_the_plan_stays_where_the_load_on_it_cannot_be_told(planner: Page) -> None:
    async def refuse_the_load(route: Route) -> None:
        if "requests_per_s" in (route.request.post_data or ""):
            await route.fulfill(status=503, json={"error": {"message": "busy now"}})
        else:
            await route.continue_()

    await planner.route("**/v1/plan", refuse_the_load)
    await planner.get_by_label("Context").fill("0")

    await planner.get_by_text("busy now").wait_for()
    await planner.get_by_role("region", name="Memory").wait_for()


async def test_what_does_not_fit_says_what_to_do(planner: Page) -> None:
    await planner.get_by_label("Model, or its parameters").fill("70B")
    await planner.keyboard.press("Enter")

    await planner.get_by_text("It does not fit", exact=True).wait_for()

    said = await planner.get_by_role("region", name="Memory").inner_text()
    assert "Take fewer bits, a shorter context, or a larger machine." in said
    await expect(planner.locator(".memory .limit")).to_have_count(1)


async def test_a_load_that_is_too_much_is_told(planner: Page) -> None:
    await planner.get_by_label("Load", exact=True).fill("12")

    await planner.get_by_text("That is more than it can do").wait_for()


async def test_a_machine_of_the_list_is_taken(planner: Page) -> None:
    await planner.get_by_role("button", name="Take g5.xlarge").click()

    await planner.get_by_role("region", name="Memory").get_by_text("on g5.xlarge").wait_for()
    assert await planner.get_by_label("Machine", exact=True).input_value() == "instance:g5.xlarge"


async def test_the_focus_goes_from_what_was_taken_to_what_comes_of_it(planner: Page) -> None:
    await planner.get_by_role("button", name="Take Q8_0").focus()

    async with planner.expect_response("**/v1/plan"):
        await planner.keyboard.press("Enter")

    memory = planner.get_by_role("region", name="Memory")
    await memory.get_by_text("as Q8_0").wait_for()
    await expect(memory).to_be_focused()


async def test_what_is_awaited_is_told(page: Page, echo_server: Server) -> None:
    may_go_on = asyncio.Event()

    async def hold(route: Route) -> None:
        if route.request.method == "POST":
            await may_go_on.wait()
        await route.continue_()

    await page.route("**/v1/plan", hold)
    await page.goto(f"{echo_server.url}/console#/plan")
    await page.get_by_text("Loading the plan").wait_for()
    may_go_on.set()
    await page.get_by_role("region", name="Your load on it").wait_for()
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)

    may_go_on.clear()
    await page.get_by_label("Context").fill("1")

    await expect(page.locator("[aria-busy=true]")).to_have_count(3)
    await page.get_by_role("region", name="Memory").wait_for()
    may_go_on.set()
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)


async def test_a_model_is_asked_for_when_its_name_is_whole(planner: Page) -> None:
    asked: list[str] = []

    def hear(request: Request) -> None:
        # The light asks for the health meanwhile.
        if request.url.endswith("/v1/plan"):
            asked.append(request.post_data or "")

    planner.on("request", hear)
    model = planner.get_by_label("Model, or its parameters")

    await model.fill("")
    await model.press_sequentially("qwen2.5:7b", delay=150)
    await planner.keyboard.press("Enter")

    memory = planner.get_by_role("region", name="Memory")
    await memory.get_by_text("qwen2.5:7b as").wait_for()
    assert all("qwen2.5:7b" in body for body in asked)


async def test_tab_leads_on_from_another_model(planner: Page) -> None:
    await planner.get_by_label("Model, or its parameters").fill("3B")

    async with planner.expect_response("**/v1/plan"):
        await planner.keyboard.press("Tab")

    await expect(planner.get_by_label("Machine", exact=True)).to_be_focused()


async def test_gpt_3_is_planned_as_in_the_article(planner: Page) -> None:
    await planner.get_by_role("button", name="GPT-3, as in the article").click()
    await (
        planner.get_by_text("8 x H100").or_(planner.get_by_text("on p5.48xlarge")).first.wait_for()
    )
    # What comes later moves what is below it.
    await expect(planner.locator("[aria-busy=true]")).to_have_count(0)

    await planner.locator("summary", has_text="The article's numbers").click()

    claims = planner.locator(".claim")
    await claims.first.wait_for()
    assert "350 GB" in await claims.first.inner_text()
    assert (
        "$98.3 an hour"
        in await planner.get_by_role("region", name="Cost over how busy it is").inner_text()
    )


async def test_a_plan_that_cannot_be_made_says_why(planner: Page) -> None:
    await planner.get_by_label("Model, or its parameters").fill("abacus")
    await planner.keyboard.press("Enter")

    assert "abacus" in await planner.get_by_role("alert").inner_text()


async def test_a_plan_is_shown_as_code(planner: Page) -> None:
    await planner.get_by_role("button", name="As code").click()

    code = await planner.get_by_role("tabpanel").inner_text()
    assert "/v1/plan" in code
    assert '"requests_per_s": 1' in code
