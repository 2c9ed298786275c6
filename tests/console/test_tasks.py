"""Tasks, plans, jobs and keys in the console."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Serve
from tests.serving import Server, key_of

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def do(page: "Page", server: Server, task: str, **fields: str) -> str:
    """Fill a task's form, send it, and wait for what it says."""
    await page.goto(f"{server.url}/console#/tasks/{task}")
    for label, text in fields.items():
        await page.get_by_label(label.replace("_", " ")).fill(text)
    await page.get_by_role("button", name=task.capitalize()).click()
    return await page.get_by_role("region", name="Result").inner_text()


async def test_labels_are_shown_with_their_probabilities(page: "Page", echo_server: Server) -> None:
    said = await do(page, echo_server, "classify", Text="Where is it?", Labels="question, praise")

    assert "question" in said
    assert await page.locator("main meter").count() == 2


async def test_what_was_found_is_marked_where_it_stands(page: "Page", echo_server: Server) -> None:
    # A character outside the basic plane counts once in the places, and twice in JavaScript.
    await do(
        page, echo_server, "extract", Text="\U0001f372 for a@b.example <i>", What_to_find="email"
    )

    assert await page.locator("mark").evaluate("(one) => one.firstChild.data") == "a@b.example"
    assert await page.locator(".marked").evaluate("(one) => one.lastChild.data") == " <i>"


async def test_a_rewriting_shows_what_changed(page: "Page", echo_server: Server) -> None:
    said = await do(page, echo_server, "rewrite", Text="She go to school.")

    assert "school" in said
    assert "She" in await page.locator(".marked").inner_text()


async def test_a_summary_is_shown(page: "Page", echo_server: Server) -> None:
    said = await do(page, echo_server, "summarize", Text="One is here. Two is there.")

    assert "One is here." in said


async def test_passages_are_found_once_there_is_an_index(
    page: "Page", serve: Serve, echo_home: Path
) -> None:
    server = serve(echo_home)
    await page.goto(f"{server.url}/console#/tasks/search")
    await page.get_by_text("canteen index NAME FILES").wait_for()
    index = f"{server.url}/v1/indexes/soups"
    await page.request.put(index, data={})
    documents = {"documents": [{"id": "a", "text": "Soup is hot."}]}
    await page.request.post(f"{index}/documents", data=documents)
    await page.reload()

    assert "Soup is hot." in await do(page, server, "search", Query="soup")


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
    _, admin = key_of(keyed_server.log.parent / "home", "admin", scopes=("llm:admin",))
    await page.goto(f"{keyed_server.url}/console#/keys")
    await page.get_by_label("Key", exact=True).fill(admin)
    await page.keyboard.press("Enter")

    await page.get_by_label("Whose, or what for").fill("shop")
    await page.get_by_role("button", name="Make key").click()
    secret = await page.locator("main pre").inner_text()
    asked, headers = f"{keyed_server.url}/v1/models", {"authorization": f"Bearer {secret}"}
    shown = await page.request.get(asked, headers=headers)
    await page.get_by_role("button", name="Revoke shop").click()
    await page.get_by_role("button", name="Revoke", exact=True).click()
    await page.get_by_text("revoked").first.wait_for()

    assert shown.status == 200
    assert (await page.request.get(asked, headers=headers)).status == 401
