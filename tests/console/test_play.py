"""Chatting in the console."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Serve
from tests.serving import Server, set_pace

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

OWNED = "document.title='owned'"
MARKUP = f'<img src=x onerror="{OWNED}"><script>{OWNED}</script><b>bold</b>'


async def ask(page: "Page", text: str) -> None:
    """Send a message and wait for its receipt."""
    await page.get_by_label("Message").fill(text)
    await page.keyboard.press("Enter")
    await page.get_by_role("region", name="Receipt").wait_for()


async def test_an_answer_comes_with_its_receipt(console: "Page") -> None:
    await ask(console, "one two three")

    assert await console.locator(".assistant .text").inner_text() == "one two three"
    receipt = await console.get_by_role("region", name="Receipt").inner_text()
    for name in ("Energy", "Water, on site", "Carbon", "Cost", "3 in, 3 out", "First token"):
        assert name in receipt
    assert await console.locator(".receipt .interval").count() == 5


async def test_markup_from_a_model_stays_text(console: "Page") -> None:
    await ask(console, MARKUP)

    assert await console.locator(".assistant .text").inner_text() == MARKUP
    assert await console.locator(".log :is(img, script, b)").count() == 0
    assert await console.title() == "Play · Canteen"


async def test_an_answer_can_be_had_again(console: "Page") -> None:
    await ask(console, "one two three")

    await console.get_by_role("button", name="Regenerate").click()
    await console.get_by_role("region", name="Receipt").wait_for()

    assert await console.locator(".turn").count() == 2


async def test_settings_are_sent_and_shown_as_code(console: "Page") -> None:
    await console.get_by_label("System prompt").fill("Be short")
    await console.get_by_label("Max tokens").fill("2")
    await console.get_by_label("Seed").fill("7")
    await ask(console, "it's one two three")

    assert "Cut off at the most tokens" in await console.locator(".assistant").inner_text()
    await console.get_by_role("button", name="As code").click()
    curl = await console.get_by_role("tabpanel").inner_text()
    sent = json.loads(curl.partition("-d '")[2].rstrip().rstrip("'").replace("'\\''", "'"))
    assert (sent["max_tokens"], sent["seed"]) == (2, 7)
    assert [one["role"] for one in sent["messages"]] == ["system", "user"]


async def test_a_call_is_shown_in_other_languages(console: "Page") -> None:
    await ask(console, 'say "hi"')

    await console.get_by_role("button", name="As code").click()
    code = {}
    for language in ("Python", "Java", "LangChain"):
        await console.get_by_role("tab", name=language).click()
        code[language] = await console.get_by_role("tabpanel").inner_text()

    assert "HttpClient.newHttpClient()" in code["Java"]
    for language in ("Python", "LangChain"):
        compile(code[language], language, "exec")


async def test_a_schema_that_is_none_is_told_and_not_sent(console: "Page") -> None:
    await console.get_by_label("JSON schema").fill("{")
    await console.get_by_label("Message").fill("one")
    await console.keyboard.press("Enter")

    alert = await console.get_by_role("alert").inner_text()
    assert "The JSON schema is no JSON" in alert
    assert "Mend the JSON schema under Settings" in alert


async def test_an_answer_can_be_stopped(page: "Page", serve: Serve, echo_home: Path) -> None:
    server = serve(set_pace(echo_home, tokens_per_s=5.0))
    await page.goto(f"{server.url}/console")
    await page.get_by_label("Message").fill("word " * 200)
    await page.keyboard.press("Enter")
    await page.get_by_text("word word").last.wait_for()

    await page.get_by_role("button", name="Stop").click()

    await page.get_by_text("Stopped.").wait_for()
    assert await page.get_by_role("button", name="Send").is_visible()


async def test_nothing_is_asked_of_another_host(page: "Page", echo_server: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await page.goto(f"{echo_server.url}/console")
    await page.get_by_label("Message").wait_for()

    assert asked
    assert [url for url in asked if not url.startswith(echo_server.url)] == []
