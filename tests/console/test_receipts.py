"""The ledger in the console: ten thousand receipts, sums over time, and what an idle hour costs."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from canteen.metering.ledger import Ledger
from tests import serving
from tests.conftest import Serve, pull
from tests.metering.books import TERMS, Books
from tests.serving import Server, key_of

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

MANY = 10_000
NUM_DRAWN = """
[...document.querySelectorAll(".lines > [role=row]")]
  .filter((one) => one.checkVisibility({ contentVisibilityAuto: true })).length
"""

TOP = "(one) => one.getBoundingClientRect().top"
NOTE_TOP = """
(one) => one.addEventListener("click", () => {
  window.leftAt = one.getBoundingClientRect().top;
})
"""

NUM_CUT = """
(table) => [...table.querySelectorAll("td :is(.value, .span)")]
  .filter((one) => one.scrollWidth > one.clientWidth && one.clientWidth
    || one.getBoundingClientRect().right > table.getBoundingClientRect().right).length
"""


@pytest.fixture(scope="module")
def long_ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose ledger has ten thousand receipts of the last hours."""
    folder = tmp_path_factory.mktemp("long-ledger")
    home = pull(folder / "home", "echo", "echo-embed")
    write(home, MANY)
    server = serving.start(home, folder / "serve.log", {"CANTEEN_MODEL": "echo"})
    yield server
    serving.end(server)


def write(home: Path, num: int) -> None:
    books, now_s = Books(), time.time()
    ledger = Ledger(f"sqlite:///{home / 'canteen.db'}", "it", books.accounts)
    ledger.start()
    for number in range(num):
        receipt = books.receipt(number, 10**6, 10**7 + number)
        ledger.add(replace(receipt, ended_s=now_s - 3.0 * (num - number)), TERMS)
    ledger.close()


async def open_receipts(page: "Page", server: Server) -> None:
    """Open the list of a week's receipts. The time is chosen before, so that no list of another
    time is there first, to be taken away when this one comes."""
    await page.goto(f"{server.url}/console#/footprint")
    await page.get_by_label("Time", exact=True).select_option("week")
    await page.goto(f"{server.url}/console#/footprint/receipts")


async def test_ten_thousand_receipts_are_in_one_list(page: "Page", long_ledger: Server) -> None:
    # By its class: a text or a role would be looked for in all that is there.
    counted = page.locator(".counted")
    await open_receipts(page, long_ledger)

    # However soon the next page comes by itself.
    whole = counted.filter(has_text="10,000 receipts, the newest first; that is all.")
    while not await whole.count():
        await page.keyboard.press("End")
        await page.wait_for_timeout(50)

    assert await page.locator(".lines > [role=row]").count() == MANY
    # Only what is about to be seen is laid out.
    assert 0 < await page.evaluate(NUM_DRAWN) < MANY / 10


async def test_a_receipt_of_the_list_is_opened(page: "Page", long_ledger: Server) -> None:
    await open_receipts(page, long_ledger)

    await page.get_by_role("link", name="rcpt_").first.focus()
    await page.keyboard.press("Enter")

    await page.get_by_text("Every input, with its source").wait_for()


async def test_back_from_a_receipt_one_is_where_one_was(page: "Page", long_ledger: Server) -> None:
    await open_receipts(page, long_ledger)
    rows = page.locator(".lines > [role=row]")
    while await rows.count() <= 1500:
        await page.keyboard.press("End")
        await page.wait_for_timeout(50)
    link = rows.nth(1500).get_by_role("link")
    await link.scroll_into_view_if_needed()
    # What is scrolled by a key moves on for a while: it counts where it is when one leaves.
    await link.evaluate(NOTE_TOP)

    await link.click()
    await page.get_by_text("Every input, with its source").wait_for()
    top = await page.evaluate("window.leftAt")
    await page.go_back()

    # Groups of rows above have forgotten by now how high they were.
    while not await link.count() or abs(await link.evaluate(TOP) - top) > 2:
        await page.wait_for_timeout(50)


async def test_hours_are_drawn_with_their_intervals(page: "Page", long_ledger: Server) -> None:
    await page.goto(f"{long_ledger.url}/console#/footprint")
    await page.get_by_label("Time", exact=True).select_option("week")
    over_time = page.get_by_role("region", name="Over time")
    await over_time.locator(".whisker").first.wait_for(state="attached")

    columns = await over_time.locator(".column").count()
    await page.get_by_label("Figure", exact=True).select_option("cost_usd")
    await over_time.get_by_text(re.compile(r"\$\d")).first.wait_for()

    assert columns >= 8
    assert await over_time.locator(".column").count() == columns


async def test_hours_of_a_long_time_are_told_by_day(page: "Page", echo_server: Server) -> None:
    answer = {"by": "day", "sums": days(600)}
    await page.route("**/v1/footprint?by=day", lambda route: route.fulfill(json=answer))
    await page.goto(f"{echo_server.url}/console#/footprint")

    await page.get_by_label("Time", exact=True).select_option("all")

    table = page.get_by_role("table", name="By day")
    rows = table.locator("tbody tr")
    await expect(rows).to_have_count(200)
    await expect(rows.first).to_contain_text("2023-08-23")
    await page.get_by_text("choose a shorter time to see hours").wait_for()
    await page.get_by_role("button", name="Show more").click()
    await expect(rows).to_have_count(400)
    await expect(page.get_by_text("400 of 600")).to_be_visible()
    columns = page.get_by_role("region", name="Over time").locator(".column")
    await expect(columns).to_have_count(600)
    assert float(str(await columns.first.get_attribute("width"))) >= 2


async def test_figures_of_a_phone_are_not_cut_off(page: "Page", echo_server: Server) -> None:
    answer = {"by": "day", "sums": days(1)}
    await page.route("**/v1/footprint?by=day*", lambda route: route.fulfill(json=answer))
    await page.set_viewport_size({"width": 320, "height": 800})
    await page.goto(f"{echo_server.url}/console#/footprint")
    await page.get_by_label("By", exact=True).select_option("day")
    table = page.get_by_role("region", name="By day")
    await table.locator(".interval").first.wait_for()

    assert await table.evaluate(NUM_CUT) == 0


def days(num: int) -> list[dict[str, Any]]:
    """Sums of days, one after the other from 2022 on."""
    figure = {"central": 0.0123456, "low": 0.00123456, "high": 1234.56, "grade": "C"}
    first = date(2022, 1, 1)
    return [
        {
            "day": (first + timedelta(number)).isoformat(),
            "requests": 3,
            "tokens": {"prompt": 6, "cached": 0, "completion": 6},
            "energy_wh": figure,
            "water_ml": {"site": figure, "source": figure},
            "carbon_g": figure,
            "cost_usd": figure,
        }
        for number in range(num)
    ]


async def test_today_begins_with_the_day_of_the_ledger(page: "Page", echo_server: Server) -> None:
    session = await page.context.new_cdp_session(page)
    await session.send("Emulation.setTimezoneOverride", {"timezoneId": "America/Los_Angeles"})
    await page.clock.set_fixed_time("2026-11-30T02:26:00Z")

    async with page.expect_request(re.compile(r"/v1/footprint\?by=hour&")) as asked:
        await page.goto(f"{echo_server.url}/console#/footprint")

    request = await asked.value
    assert request.url.endswith("since=2026-11-30T00%3A00%3A00.000Z")
    await page.get_by_role("option", name="Today (UTC)").wait_for(state="attached")
    await page.get_by_role("option", name="Day (UTC)", exact=True).wait_for(state="attached")


async def test_an_hour_of_idling_has_its_price(page: "Page", long_ledger: Server) -> None:
    await page.goto(f"{long_ledger.url}/console#/footprint")
    idle = page.get_by_role("region", name="An idle hour")

    while not await idle.locator(".interval").count():
        await page.reload()
        await idle.wait_for()

    assert "at the meter" in await idle.inner_text()
    assert await idle.locator(".grade").count() >= 4


async def test_who_asked_is_told_by_the_name_of_the_key(page: "Page", keyed_server: Server) -> None:
    key_id = await asked_by(page, keyed_server, "the phone", "llm:admin")

    await page.get_by_label("By", exact=True).select_option("key")
    sums = page.get_by_role("rowheader", name="the phone")
    await expect(sums).to_contain_text(key_id)
    await page.get_by_role("link", name="Receipts").click()
    listed = page.get_by_role("row").filter(has_text="the phone")
    await expect(listed).to_contain_text(key_id)


async def test_who_asked_is_told_by_the_id_where_names_are_not_to_be_seen(
    page: "Page", keyed_server: Server
) -> None:
    key_id = await asked_by(page, keyed_server, "a reader", "llm:footprint")

    await page.get_by_label("By", exact=True).select_option("key")

    await page.get_by_role("rowheader", name=key_id).wait_for()


async def asked_by(page: "Page", server: Server, name: str, scope: str) -> str:
    """Ask with a new key and look at the sums with it; its id."""
    home = server.log.parent / "home"
    key_id, secret = key_of(home, name, scopes=("llm:chat", "llm:footprint", scope))
    body = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}
    bearer = {"authorization": f"Bearer {secret}"}
    url = f"{server.url}/v1/chat/completions"
    assert (await page.request.post(url, data=body, headers=bearer)).ok
    await page.goto(f"{server.url}/console#/footprint")
    await page.get_by_label("Key", exact=True).fill(secret)
    await page.keyboard.press("Enter")
    # Today may be another day by now.
    await page.get_by_label("Time", exact=True).select_option("week")
    return key_id


async def test_a_ledger_without_receipts_says_what_to_do(
    page: "Page", serve: Serve, echo_home: Path
) -> None:
    server = serve(echo_home)

    await page.goto(f"{server.url}/console#/footprint/receipts")

    await page.get_by_text("There is no receipt of this time").wait_for()
