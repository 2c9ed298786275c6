"""Answers that come late, after something else was done in the console."""

from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.console.acting import held
from tests.serving import Server

if TYPE_CHECKING:
    from playwright.async_api import Page, Route

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY = {"scopes": [], "models": [], "limits": {}, "created_s": 1, "expires_s": None}
INDEX = {"num_documents": 1, "num_passages": 1, "embedder": "echo-embed", "problem": None}
JOB = {"id": "job_1", "kind": "finetune", "name": "mood", "spec": {}, "created_s": 1, "result": {}}
RECEIPT = {
    "ended_s": 1,
    "model": "echo",
    "key": "",
    "phase": "inference",
    "operation": "chat",
    "tokens": {"prompt": 1, "completion": 1},
    "energy_wh": {"central": 1.0, "grade": "C"},
    "cost_usd": None,
}
CHAT = {"model": "echo", "messages": [{"role": "user", "content": "one two"}]}
# A file that is being read until window.goOn is called.
READ_SLOWLY = """
const read = File.prototype.arrayBuffer;
File.prototype.arrayBuffer = function () {
  return new Promise((resolve) => { window.goOn = () => resolve(read.call(this)); });
};
"""


async def asked(page: "Page", address: str) -> "list[Route]":
    """Have all that is asked of an address wait, until it is answered here."""
    waiting: list[Route] = []
    await page.route(address, lambda route: waiting.append(route))
    return waiting


async def told(
    page: "Page", waiting: "list[Route]", at: int, answer: Any, status: int = 200
) -> None:
    """Answer one that waits or will, and see to it that the page has heard."""
    while len(waiting) <= at:
        await page.wait_for_timeout(20)
    await waiting[at].fulfill(status=status, json=answer)
    response = await waiting[at].request.response()
    assert response is not None
    await response.finished()
    await page.evaluate("new Promise((resolve) => setTimeout(resolve, 50))")


async def test_an_index_that_is_chosen_while_they_are_asked_for_stays_chosen(
    page: "Page", echo_server: Server
) -> None:
    indexes = await asked(page, "**/v1/indexes")
    shelf = {"indexes": [{"name": name, **INDEX} for name in ("fish", "soups")]}
    await page.goto(f"{echo_server.url}/console#/tasks/search")
    await told(page, indexes, 0, shelf)
    await page.get_by_role("link", name="Rank", exact=True).click()
    await page.get_by_label("Texts").wait_for()
    await page.get_by_role("link", name="Search", exact=True).click()

    await page.get_by_label("Index", exact=True).select_option("soups")
    await told(page, indexes, 1, shelf)

    assert await page.get_by_label("Index", exact=True).input_value() == "soups"


@pytest.mark.parametrize("mode", ["chat", "compare"])
async def test_a_new_chat_is_not_answered_for_what_was_asked_in_the_one_before(
    page: "Page", echo_server: Server, mode: str
) -> None:
    async with held(page, "**/v1/store"):
        await page.goto(f"{echo_server.url}/console#/play/{mode}")
        await page.get_by_label("Message").fill("before")
        await page.keyboard.press("Enter")
        await page.get_by_text("before").wait_for()
        await page.get_by_role("button", name="New chat").click()
    await page.get_by_label("System prompt").wait_for()
    # Only when the one before has been left is there something to send with.
    await page.get_by_role("button", name="Send").wait_for()

    await page.get_by_label("Message").fill("after")
    await page.keyboard.press("Enter")
    await page.get_by_text("Energy").first.wait_for()

    assert await page.get_by_text("Stopped.").count() == 0


async def test_a_job_that_was_cancelled_is_not_told_to_run_on(
    page: "Page", echo_server: Server
) -> None:
    looks, events = await asked(page, "**/v1/jobs/job_1"), await asked(page, "**/job_1/events")
    cancelling = await asked(page, "**/job_1/cancel")
    await page.goto(f"{echo_server.url}/console#/jobs/job_1")
    await told(page, looks, 0, JOB | {"state": "running"})
    await page.get_by_role("button", name="Cancel", exact=True).click()
    await page.get_by_role("button", name="End it").click()
    await told(page, cancelling, 0, JOB | {"state": "running"})
    while len(looks) < 2:
        await page.wait_for_timeout(20)
    # The stream is at its end, and how it stands is looked at once more.
    await told(page, events, 0, {})
    await told(page, looks, 2, JOB | {"state": "cancelled"})

    await told(page, looks, 1, JOB | {"state": "running"})

    assert "cancelled" in await page.get_by_role("region", name="How it stands").inner_text()


async def test_a_key_that_was_revoked_is_not_listed_again(
    page: "Page", echo_server: Server
) -> None:
    lists, gone = await asked(page, "**/v1/keys"), await asked(page, "**/v1/keys/*")
    keys = [{"id": f"key_{name}", "name": name, "revoked_s": None, **KEY} for name in "abc"]
    await page.goto(f"{echo_server.url}/console#/keys")
    await told(page, lists, 0, {"keys": keys})
    for at, name in enumerate("ab"):
        await page.get_by_role("button", name=f"Revoke {name}").click()
        await page.get_by_role("button", name="Revoke", exact=True).click()
        await told(page, gone, at, {})
    await told(page, lists, 2, {"keys": keys[2:]})

    await told(page, lists, 1, {"keys": keys[1:]})

    assert await page.get_by_role("button", name="Revoke b").count() == 0
    await page.get_by_role("button", name="Revoke c").wait_for()


async def test_of_two_files_the_one_is_taken_that_was_chosen_last(
    page: "Page", echo_server: Server
) -> None:
    await page.add_init_script(READ_SLOWLY)
    await page.goto(f"{echo_server.url}/console#/tasks/summarize")
    choose = page.get_by_label("Choose a file")
    await choose.set_input_files({"name": "long.pdf", "mimeType": "", "buffer": b"%PDF-"})
    short = {"name": "short.txt", "mimeType": "text/plain", "buffer": b"It is short."}
    await choose.set_input_files(short)  # type: ignore[arg-type]
    text = page.get_by_label("Text", exact=True)
    await expect(text).to_have_value("It is short.")

    await page.evaluate("window.goOn()")
    await page.evaluate("new Promise((resolve) => setTimeout(resolve, 50))")

    assert await text.input_value() == "It is short."


@pytest.mark.parametrize("since", [["model"], ["model", "key"]])
async def test_a_late_failure_is_not_told_in_place_of_what_was_chosen_since(
    page: "Page", echo_server: Server, since: list[str]
) -> None:
    sums = await asked(page, "**/v1/footprint?by=key*")
    others = await asked(page, "**/v1/footprint?by=model*")
    await page.goto(f"{echo_server.url}/console#/footprint")
    for way in ("key", *since):
        await page.get_by_label("By", exact=True).select_option(way)
    last = (sums, 1) if since[-1] == "key" else (others, 0)
    await told(page, *last, {"by": since[-1], "sums": []})
    await page.get_by_text("Nothing was eaten in this time.").wait_for()

    await told(page, sums, 0, {"detail": "late failure"}, 500)

    assert await page.get_by_text("late failure").count() == 0


async def test_of_two_looks_at_the_receipts_the_last_one_counts(
    page: "Page", echo_server: Server
) -> None:
    lists = await asked(page, "**/v1/receipts?*")
    await page.goto(f"{echo_server.url}/console#/footprint/receipts")
    await told(page, lists, 0, {"receipts": [], "next": None})
    for _ in range(2):
        await page.get_by_role("button", name="Look again").click()
    await told(page, lists, 2, {"receipts": [], "next": None})
    await page.get_by_text("There is no receipt of this time.").wait_for()

    await told(page, lists, 1, {"detail": "late failure"}, 500)

    assert await page.get_by_text("late failure").count() == 0


async def test_the_list_is_kept_while_receipts_are_opened_from_it(
    page: "Page", echo_server: Server
) -> None:
    url = f"{echo_server.url}/v1/chat/completions"
    answers = [await page.request.post(url, data=CHAT) for _ in range(2)]
    ids = [answer.headers["x-canteen-receipt"] for answer in answers]
    first = await (await page.request.get(f"{echo_server.url}/v1/footprint/{ids[0]}")).json()
    lists = await asked(page, "**/v1/receipts?*")
    slow = await asked(page, f"**/v1/footprint/{ids[0]}")
    await page.goto(f"{echo_server.url}/console#/footprint/receipts")
    rows = [{"id": one, **RECEIPT} for one in ids]
    await told(page, lists, 0, {"receipts": rows, "next": None})
    links = page.get_by_role("link", name="rcpt_")
    await links.first.click()
    await page.get_by_text("Loading the receipt").wait_for()
    await page.go_back()
    await links.last.click()
    await page.get_by_text("Every input, with its source").wait_for()
    await told(page, slow, 0, first)

    await page.go_back()

    await links.first.wait_for()
    assert len(lists) == 1
