"""Chatting in the console."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Serve
from tests.console.acting import held
from tests.console.conftest import run_python
from tests.serving import Server

if TYPE_CHECKING:
    from playwright.async_api import Page, Response, Route

pytestmark = pytest.mark.asyncio(loop_scope="session")

OWNED = "document.title='owned'"
MARKUP = f'<img src=x onerror="{OWNED}"><script>{OWNED}</script><b>bold</b>'
# The network as it is where the service is killed.
FETCH_WHAT_BREAKS_OFF = """() => {
  const piece = JSON.stringify({ choices: [{ delta: { content: "one two" } }] });
  const event = new TextEncoder().encode(`data: ${piece}\\n\\n`);
  globalThis.fetch = async () => new Response(new ReadableStream({
    start: (stream) => stream.enqueue(event),
    pull: (stream) => { setTimeout(() => stream.error(new TypeError("network error")), 100); },
  }));
}"""
# Counts in which frame text was added to what is being answered, and what else was changed then.
COUNT_CHANGES = """() => {
  let frame = 0;
  const added = new Map();
  window.seen = { frames: 0, most: 0, elsewhere: 0 };
  requestAnimationFrame(function count() { frame += 1; requestAnimationFrame(count); });
  const old = [...document.querySelectorAll(".log > *")];
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) {
      if (old.some((one) => one.contains(target))) window.seen.elsewhere += 1;
      if (!target.matches?.(".text.running") || !addedNodes.length) continue;
      const [last, times] = added.get(target) ?? [];
      const now = last === frame ? times + 1 : 1;
      if (last !== frame) window.seen.frames += 1;
      added.set(target, [frame, now]);
      window.seen.most = Math.max(window.seen.most, now);
    }
  }).observe(document.querySelector(".log"),
    { childList: true, characterData: true, subtree: true });
}"""


async def ask(page: "Page", text: str) -> None:
    """Send a message and wait for its receipt."""
    await page.get_by_label("Message").fill(text)
    await page.keyboard.press("Enter")
    await page.get_by_role("region", name="Receipt").wait_for()


async def ask_both(page: "Page", text: str) -> None:
    """Send a message to two models and wait until both have answered."""
    differences = page.get_by_role("region", name="Difference")
    before = await differences.count()
    await page.get_by_label("Message").fill(text)
    await page.keyboard.press("Enter")
    await differences.nth(before).wait_for()


async def test_an_answer_comes_with_its_receipt(console: "Page") -> None:
    await ask(console, "one two three")

    assert await console.locator(".assistant .text").inner_text() == "one two three"
    receipt = await console.get_by_role("region", name="Receipt").inner_text()
    for name in ("Energy", "Water, on site", "Carbon", "Cost", "3 in, 3 out", "First token"):
        assert name in receipt
    assert await console.locator(".receipt .interval").count() == 5


async def test_one_can_ask_before_the_models_are_known(page: "Page", echo_server: Server) -> None:
    async with held(page, "**/v1/store"):
        await page.goto(f"{echo_server.url}/console")
        await page.get_by_label("Message").fill("one two three")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Stop").wait_for()
    await page.get_by_role("region", name="Receipt").wait_for()

    assert await page.locator(".assistant .text").inner_text() == "one two three"


async def test_only_the_last_answer_is_asked_for_again(console: "Page") -> None:
    async def refuse(route: "Route") -> None:
        await route.fulfill(status=503, json={"error": {"message": "busy now"}})

    await console.route("**/v1/chat/completions", refuse, times=1)
    await console.get_by_label("Message").fill("first")
    await console.keyboard.press("Enter")
    await console.get_by_role("button", name="Try again").wait_for()
    await ask(console, "second")

    assert await console.get_by_role("button", name="Try again").is_hidden()
    assert await console.get_by_text("busy now").is_visible()


async def test_what_came_stays_where_the_service_goes_away(console: "Page") -> None:
    await console.evaluate(FETCH_WHAT_BREAKS_OFF)
    await console.get_by_label("Message").fill("hello")
    await console.keyboard.press("Enter")

    await console.get_by_text("See whether `canteen serve` still runs").wait_for()

    assert await console.locator(".assistant .text").inner_text() == "one two"


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


async def test_the_chat_outlives_a_reload_of_the_page(console: "Page") -> None:
    await console.get_by_label("System prompt").fill("Be brief.")
    await ask(console, "one two")
    await console.get_by_label("Message").fill("three")

    await console.reload()

    await console.get_by_role("region", name="Receipt").wait_for()
    assert await console.locator(".turn .text").all_inner_texts() == ["one two", "one two"]
    assert await console.get_by_label("Message").input_value() == "three"
    async with console.expect_request("**/v1/chat/completions") as request:
        await console.get_by_role("button", name="Send").click()
    said = ((await request.value).post_data_json or {})["messages"]
    assert [one["content"] for one in said] == ["Be brief.", "one two", "one two", "three"]


async def test_a_new_chat_forgets_the_one_before(console: "Page") -> None:
    await ask(console, "one two")
    await console.get_by_role("button", name="New chat").click()

    await console.reload()

    await console.get_by_role("heading", name="Ask, and see what the answer took").wait_for()
    assert await console.locator(".turn").count() == 0


async def test_an_answer_that_a_reload_cuts_off_is_told_as_such(
    page: "Page", paced_server: Server
) -> None:
    await page.goto(f"{paced_server.url}/console")
    # It goes on for longer than any reload takes.
    await page.get_by_label("Message").fill("word " * 5000)
    await page.keyboard.press("Enter")
    await page.locator(".assistant .text", has_text="word").wait_for()

    await page.reload()

    await page.get_by_text("Cut off: the page was loaded anew.").wait_for()
    assert "word" in await page.locator(".assistant .text").inner_text()
    await page.get_by_role("button", name="Regenerate").click()
    await page.get_by_role("button", name="Stop").click()


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


async def test_the_code_of_an_answer_gives_that_answer(console: "Page") -> None:
    await console.get_by_text("More sampling").click()
    await console.get_by_label("Top k").fill("5")
    await console.get_by_label("Stop at").fill("never, ever\\n")
    await ask(console, 'say "hi"')
    await console.get_by_role("button", name="As code").click()
    code = {}
    for language in ("Python", "LangChain"):
        await console.get_by_role("tab", name=language).click()
        code[language] = await console.get_by_role("tabpanel").inner_text()

    ran = {name: await run_python(text) for name, text in code.items()}

    assert ran["LangChain"] == 'say "hi"'
    assert ran["Python"].startswith('say "hi"')
    assert "'grade'" in ran["Python"]


async def test_sampling_settings_are_sent_as_they_are_set(console: "Page") -> None:
    await console.get_by_text("More sampling").click()
    settings = {"Top p": "0.9", "Min p": "0.1", "Presence": "1", "Frequency": "-1"}
    for label, value in settings.items():
        await console.get_by_label(label).fill(value)
    await console.get_by_label("Repetition").fill("1.1")
    await console.get_by_label("Stop at").fill("END\nof\\n")

    async with console.expect_request("**/v1/chat/completions") as request:
        await ask(console, "one")

    sent = (await request.value).post_data_json or {}
    assert [sent[name] for name in ("top_p", "min_p", "presence_penalty")] == [0.9, 0.1, 1]
    assert [sent[name] for name in ("frequency_penalty", "repetition_penalty")] == [-1, 1.1]
    assert sent["stop"] == ["END", "of\n"]


async def test_a_schema_that_is_none_is_told_and_not_sent(console: "Page") -> None:
    await console.get_by_label("JSON schema").fill("{")
    await console.get_by_label("Message").fill("one")
    await console.keyboard.press("Enter")

    alert = await console.get_by_role("alert").inner_text()
    assert "The JSON schema is no JSON" in alert
    assert "Mend the JSON schema under Settings" in alert


WRONG_SCHEMAS = {
    "[]": "it must be an object",
    '{"type": "text"}': 'schema.type is "text"',
    '{"properties": {"a": {"enum": []}}}': "schema.properties.a.enum must be a list",
    '{"properties": {}, "required": ["b"]}': 'names "b", which is not among',
    '{"items": {"anyOf": {}}}': "schema.items.anyOf must be a list",
}


async def test_what_is_wrong_with_a_schema_is_said_while_it_is_written(console: "Page") -> None:
    field = console.get_by_label("JSON schema")
    for schema, says in WRONG_SCHEMAS.items():
        await field.fill(schema)

        assert says in await console.locator(".settings .wrong").inner_text()
        assert await field.get_attribute("aria-invalid") == "true"


async def test_a_schema_that_is_one_holds_the_answer(console: "Page") -> None:
    await console.get_by_label("JSON schema").fill('{"type": "object", "properties": {}}')

    await ask(console, "one")

    assert json.loads(await console.locator(".assistant .text").inner_text()) == {}


async def test_an_answer_can_be_stopped(page: "Page", paced_server: Server) -> None:
    await page.goto(f"{paced_server.url}/console")
    await page.get_by_label("Message").fill("word " * 5000)
    await page.keyboard.press("Enter")
    await page.get_by_text("word word").last.wait_for()

    await page.get_by_role("button", name="Stop").click()

    await page.get_by_text("Stopped.").wait_for()
    assert await page.get_by_role("button", name="Send").is_visible()


async def test_two_models_answer_beside_each_other_and_are_compared(
    page: "Page", serve: Serve, echo_home: Path
) -> None:
    server = serve(echo_home)
    other = {"source": "echo", "destination": "other"}
    await page.request.post(f"{server.url}/api/copy", data=other)
    await page.goto(f"{server.url}/console#/play/compare")
    await page.get_by_label("Model B").select_option("other:latest")
    await page.get_by_label("Message").fill(MARKUP)

    await page.keyboard.press("Enter")
    difference = await page.get_by_role("region", name="Difference").inner_text()

    assert await page.locator(".assistant .text").all_inner_texts() == [MARKUP, MARKUP]
    assert await page.locator(".log :is(img, script, b)").count() == 0
    assert await page.get_by_role("region", name="Receipt").count() == 2
    for what in ("Energy:", "Energy a token:", "Cost:", "Speed:"):
        assert what in difference
    await page.locator(".difference summary").click()
    assert await page.locator(".difference .interval").count() == 6


async def test_both_sides_go_on_from_what_they_said_themselves(
    page: "Page", echo_server: Server
) -> None:
    await page.goto(f"{echo_server.url}/console#/play/compare")
    await ask_both(page, "first")
    await ask_both(page, "second")

    await page.get_by_role("button", name="As code").last.click()
    curl = await page.get_by_role("tabpanel").inner_text()

    sent = json.loads(curl.partition("-d '")[2].rstrip().rstrip("'"))
    assert [one["content"] for one in sent["messages"]] == ["first", "first", "second"]


async def test_one_stop_stops_both(page: "Page", paced_server: Server) -> None:
    await page.goto(f"{paced_server.url}/console#/play/compare")
    await page.get_by_label("Message").fill("word " * 5000)
    await page.keyboard.press("Enter")
    for side in (0, 1):
        await page.locator(".assistant").nth(side).get_by_text("word word").wait_for()

    await page.get_by_role("button", name="Stop").click()

    await page.get_by_text("Nothing to compare: not both came to their end.").wait_for()
    assert await page.get_by_text("Stopped. What was").count() == 2


DIFFERENCES = {
    "B took 2 times that of A; their intervals do not overlap": [[1, 0.9, 1.1], [2, 1.8, 2.2]],
    "A took 2 times that of B, but their intervals overlap": [[2, 1, 3], [1, 0.5, 1.5]],
    "about the same": [[1, 0.5, 2], [1.05, 0.5, 2]],
}


async def test_a_difference_that_is_not_sure_is_told_as_such(console: "Page") -> None:
    program = """async (both) => {
      const { difference } = await import("/console/compare.js");
      const answers = both.map(([central, low, high]) => ({ model: "m", ttftS: 1, footprint: {
        energy_wh: { central, low, high }, cost_usd: null,
        tokens: { completion: 2 }, time_s: { decode: 1 } } }));
      return difference(...answers).textContent;
    }"""

    for says, difference in DIFFERENCES.items():
        assert says in await console.evaluate(program, difference)


async def test_what_is_streamed_is_shown_once_a_frame_and_nothing_else_is_touched(
    page: "Page", paced_server: Server
) -> None:
    await page.goto(f"{paced_server.url}/console#/play/compare")
    await ask_both(page, "before")
    await page.evaluate(COUNT_CHANGES)

    await ask_both(page, "word " * 150)

    seen = await page.evaluate("window.seen")
    assert seen["elsewhere"] == 0
    assert seen["most"] == 1
    assert seen["frames"] >= 2
    shown = await page.locator(".assistant .text").all_inner_texts()
    assert [len(text.split()) for text in shown] == [1, 1, 150, 150]


async def test_nothing_is_asked_of_another_host(page: "Page", echo_server: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await page.goto(f"{echo_server.url}/console")
    await page.get_by_label("Message").wait_for()

    assert asked
    assert [url for url in asked if not url.startswith(echo_server.url)] == []


async def test_the_first_view_is_small_and_loads_no_other(
    page: "Page", echo_server: Server
) -> None:
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))

    await page.goto(f"{echo_server.url}/console")
    await page.get_by_label("Message").wait_for()

    names = {one.url.rpartition("/")[2] for one in answers}
    assert "play.js" in names
    assert names & {"now.js", "tasks.js", "plan.js", "models.js"} == set()
    assert sum([len(await one.body()) for one in answers]) < 250_000
