"""Tasks, jobs and keys in the console."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.conftest import Serve
from tests.console.acting import held, show_a_key
from tests.console.conftest import run_python
from tests.serving import Server

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

MARKUP = "<img src=x onerror=\"document.title='owned'\"> One is here. Two is there."


async def open_task(page: "Page", server: Server, task: str, **fields: str) -> None:
    """Open a task's form and fill it."""
    await page.goto(f"{server.url}/console#/tasks/{task}")
    for label, text in fields.items():
        await page.get_by_label(label.replace("_", " "), exact=True).fill(text)


async def do(page: "Page", server: Server, task: str, **fields: str) -> str:
    """Fill a task's form, send it, and wait for what it says."""
    await open_task(page, server, task, **fields)
    await page.get_by_role("button", name=task.capitalize(), exact=True).click()
    return await page.get_by_role("region", name="Result").inner_text()


async def test_labels_are_shown_with_their_probabilities(page: "Page", echo_server: Server) -> None:
    said = await do(page, echo_server, "classify", Text="Where is it?", Labels="question, praise")

    assert "question" in said
    assert "Energy" in said
    assert await page.locator("main meter").count() == 2


async def test_long_labels_are_told_beside_their_bars(page: "Page", echo_server: Server) -> None:
    await page.set_viewport_size({"width": 390, "height": 800})

    labels = f"complaint_about_delivery_delay, praise, {200 * 'x'}"
    await do(page, echo_server, "classify", Text="Where is it?", Labels=labels)

    ends = "(all) => all.map((one) => one.getBoundingClientRect().right)"
    begins = "(all) => all.map((one) => one.getBoundingClientRect().left)"
    texts = await page.locator(".bars span:first-child").evaluate_all(ends)
    bars = await page.locator(".bars meter").evaluate_all(begins)
    assert all(text < bar for text, bar in zip(texts, bars, strict=True))
    assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def test_what_was_found_is_marked_where_it_stands(page: "Page", echo_server: Server) -> None:
    # A character outside the basic plane counts once in the places, and twice in JavaScript.
    said = await do(
        page, echo_server, "extract", Text="\U0001f372 for a@b.example <i>", What_to_find="email"
    )

    assert "email 1" in said
    assert await page.locator("mark").evaluate("(one) => one.firstChild.data") == "a@b.example"
    assert await page.locator(".marked").evaluate("(one) => one.lastChild.data") == " <i>"


async def test_a_rewriting_shows_what_changed(page: "Page", echo_server: Server) -> None:
    said = await do(page, echo_server, "rewrite", Text="She go to school.")

    assert "school" in said
    assert "change" in said
    assert "She" in await page.locator(".marked").inner_text()


async def test_how_to_rewrite_is_asked_only_where_it_is_needed(
    page: "Page", echo_server: Server
) -> None:
    await open_task(page, echo_server, "rewrite")
    words = page.get_by_label("In words")
    await page.get_by_label("How").wait_for()
    before = await words.is_visible()

    await page.get_by_label("How").select_option("translate")

    assert not before
    assert await words.is_visible()


async def test_a_sentence_of_a_summary_leads_to_where_it_is_from(
    page: "Page", echo_server: Server
) -> None:
    said = await do(page, echo_server, "summarize", Text=MARKUP)
    number = page.get_by_role("button", name="Where this is from, 1")
    await number.click()

    assert "One is here." in said
    assert "One is here." in await page.locator("mark.lit").inner_text()
    assert await page.locator("mark.lit").evaluate("(one) => one === document.activeElement")
    assert await page.locator("main img").count() == 0
    assert await page.title() == "Tasks · Canteen"


async def test_a_file_is_read_in_place_of_a_text(page: "Page", echo_server: Server) -> None:
    await open_task(page, echo_server, "summarize")
    choose = page.get_by_label("Choose a file")
    plain = {"name": "a.txt", "mimeType": "text/plain", "buffer": b"Seven is here."}
    html = {"name": "b.html", "mimeType": "text/html", "buffer": b"<p>Eight is <b>there</b>.</p>"}

    await choose.set_input_files(plain)  # type: ignore[arg-type]
    await page.wait_for_function("document.querySelector('textarea').value === 'Seven is here.'")
    await choose.set_input_files(html)  # type: ignore[arg-type]
    await page.get_by_text("b.html").wait_for()
    await page.get_by_role("button", name="Summarize", exact=True).click()

    assert "Eight is there." in await page.get_by_role("region", name="Result").inner_text()


async def test_questions_are_answered_with_probabilities(page: "Page", echo_server: Server) -> None:
    await open_task(page, echo_server, "decide", Text="It is late.")
    await page.get_by_role("button", name="Take it out").last.click()

    await page.get_by_role("button", name="Decide", exact=True).click()

    said = await page.get_by_role("region", name="Result").inner_text()
    assert "Is the customer angry?" in said
    assert "How urgent is it?" not in said
    assert await page.locator(".decided meter").count() == 5


async def test_texts_are_ranked(page: "Page", echo_server: Server) -> None:
    said = await do(page, echo_server, "rank", Query="soup", Texts="soup\nstew")

    assert said.split()[:2] == ["Result", "soup"]
    assert await page.locator(".ranked meter").count() == 2


async def test_an_index_is_built_searched_and_deleted(
    page: "Page", serve: Serve, echo_home: Path
) -> None:
    server = serve(echo_home)
    await open_task(page, server, "search", Name="soups", Texts="Soup is hot.")
    await page.get_by_text("canteen index NAME FILES").wait_for()
    files = [
        {"name": f"{name}.md", "mimeType": "", "buffer": f"# {name}\n\n{name} is cold.".encode()}
        for name in ("Stew", "Tea")
    ]
    await page.get_by_label("Choose files").set_input_files(files)  # type: ignore[arg-type]

    await page.get_by_role("button", name="Build").click()
    await page.get_by_text("3 documents done, 3 passages in soups.").wait_for()
    # Only with this can it be chosen, too.
    await page.get_by_role("button", name="Delete soups").wait_for()
    await page.get_by_label("Query").fill("hot soups")
    await page.get_by_role("button", name="Search", exact=True).click()
    found = await page.get_by_role("region", name="Result").inner_text()
    words = await page.locator("mark.word").all_inner_texts()
    await page.get_by_role("button", name="Delete soups").click()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await page.get_by_text("There is no index yet.").wait_for()

    assert "Soup is hot." in found
    assert {"Soup", "hot"} <= set(words)


async def test_what_failed_to_be_indexed_is_told(page: "Page", echo_server: Server) -> None:
    await open_task(page, echo_server, "search", Name="broken")
    broken = {"name": "broken.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-no"}
    await page.get_by_label("Choose files").set_input_files(broken)  # type: ignore[arg-type]

    await page.get_by_role("button", name="Build").click()

    await page.get_by_role("listitem").get_by_text("broken.pdf:").wait_for()


async def test_a_prompt_of_ones_own_is_stored_and_asked(
    page: "Page", serve: Serve, echo_home: Path
) -> None:
    server = serve(echo_home)
    await open_task(page, server, "own", Name="greet")
    await page.get_by_role("button", name="Store").click()
    await page.get_by_label("name", exact=True).fill("Ada <b>")

    await page.get_by_role("button", name="Ask", exact=True).click()

    said = await page.get_by_role("region", name="Result").inner_text()
    assert "Greet Ada <b> in one line." in said


async def test_what_is_wrong_with_a_task_is_said(page: "Page", echo_server: Server) -> None:
    await open_task(page, echo_server, "classify", Labels="alone")

    await page.get_by_role("button", name="Classify", exact=True).click()

    assert "labels" in await page.get_by_role("alert").inner_text()


async def test_the_code_of_a_task_gives_its_result(page: "Page", echo_server: Server) -> None:
    await open_task(page, echo_server, "classify", Text='Is it "hot"?', Labels="yes, no")
    await page.get_by_role("button", name="As code").click()
    code = {}
    for language in ("Python", "LangChain"):
        await page.get_by_role("tab", name=language).click()
        code[language] = await page.get_by_role("tabpanel").inner_text()

    ran = {name: await run_python(text) for name, text in code.items()}

    assert json.loads(ran["Python"])["task"] == "classify"
    assert "'probabilities'" in ran["LangChain"]


async def test_a_job_is_shown_with_its_receipt(page: "Page", echo_server: Server) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "later"}]}
    spec = {"path": "/v1/chat/completions", "body": body}
    left = {"kind": "request", "spec": spec}
    job = await (await page.request.post(f"{echo_server.url}/v1/jobs", data=left)).json()
    await page.request.get(f"{echo_server.url}/v1/jobs/{job['id']}?wait=20")
    await page.goto(f"{echo_server.url}/console#/jobs")

    await page.get_by_role("link", name="rcpt_").first.click()

    await page.get_by_text("Every input, with its source").wait_for()


async def test_a_key_is_made_shown_once_and_revoked(page: "Page", keyed_server: Server) -> None:
    await show_a_key(page, keyed_server, "keys", "llm:admin")

    await page.get_by_text("Make a key").click()
    await page.get_by_label("Whose, or what for").fill("shop")
    await page.get_by_role("button", name="Make key").click()
    secret = await page.locator("main pre").inner_text()
    asked, headers = f"{keyed_server.url}/v1/models", {"authorization": f"Bearer {secret}"}
    shown = await page.request.get(asked, headers=headers)
    await page.get_by_role("button", name="Revoke shop").click()
    await page.get_by_role("button", name="Revoke", exact=True).click()
    await expect(page.get_by_role("listitem", name="shop")).to_have_count(0)

    assert shown.status == 200
    assert (await page.request.get(asked, headers=headers)).status == 401


async def test_a_draft_stays_when_the_models_change(page: "Page", echo_server: Server) -> None:
    await open_task(page, echo_server, "summarize")
    await page.get_by_label("Text", exact=True).fill("A draft.")

    await page.goto(f"{echo_server.url}/console#/models")
    await page.get_by_label("Pull a model").fill("echo")
    await page.keyboard.press("Enter")
    await page.get_by_text("Pulling echo: done.").wait_for()
    await open_task(page, echo_server, "summarize")

    assert await page.get_by_label("Text", exact=True).input_value() == "A draft."


async def test_a_form_that_is_slow_to_come_is_there_at_the_second_visit(
    page: "Page", echo_server: Server
) -> None:
    async with held(page, "**/v1/store"):
        for task in ("summarize", "search", "summarize"):
            await page.goto(f"{echo_server.url}/console#/tasks/{task}")
            await page.locator(f"a[aria-current][href='#/tasks/{task}']").wait_for()

    await page.get_by_role("button", name="Summarize").wait_for()


async def test_on_a_phone_the_result_is_brought_into_view(
    page: "Page", echo_server: Server
) -> None:
    await page.set_viewport_size({"width": 390, "height": 740})
    await open_task(page, echo_server, "extract")

    await page.get_by_role("button", name="Extract", exact=True).click()
    result = page.get_by_role("region", name="Result")
    await result.wait_for()

    box = await result.bounding_box()
    assert box is not None
    assert box["y"] < 740
