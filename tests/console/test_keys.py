"""Keys in the console: what each may, and what is left of its budgets."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.conftest import Serve
from tests.console.accessibility import findings
from tests.serving import Server, key_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}


async def administer(page: Page, server: Server) -> str:
    """Open the view with an admin's key, which is given back."""
    _, admin = key_of(server.log.parent / "home", "admin", scopes=("llm:admin",))
    await page.add_init_script(f"sessionStorage.setItem('canteen.key', {json.dumps(admin)})")
    await page.goto(f"{server.url}/console#/keys")
    await page.get_by_role("list", name="Keys").wait_for()
    await page.get_by_text("Make a key").click()
    return admin


async def answer_with(page: Page, *keys: Mapping[str, object]) -> None:
    """Let the service tell of these keys."""
    usual = {"scopes": [], "models": [], "limits": {}, "created_s": 1, "expires_s": None}
    told = [{"id": f"key_{at}", "revoked_s": None, **usual, **one} for at, one in enumerate(keys)]
    await page.route("**/v1/keys", lambda route: route.fulfill(json={"keys": told}))


async def limit(page: Page, most: str, unit: str) -> None:
    """Add a limit to the key that is to be made."""
    await page.get_by_role("button", name="Add a limit").click()
    await page.get_by_label("At most", exact=True).last.fill(most)
    await page.get_by_label("Unit").last.select_option(unit)


async def test_a_key_with_a_budget_shows_what_is_left_of_it(
    page: Page, keyed_server: Server
) -> None:
    await administer(page, keyed_server)
    await page.get_by_label("Whose, or what for").fill("till")
    await page.get_by_label("Models").fill("echo")
    await page.get_by_label("Good for").select_option("a week")
    await page.get_by_role("button", name="Add a limit").click()
    await page.get_by_label("At most", exact=True).fill("10")
    await page.get_by_label("Unit").select_option("requests")
    await page.get_by_label("Period").select_option("month")

    await page.get_by_role("button", name="Make key").click()
    secret = await page.locator("main pre").inner_text()
    headers = {"authorization": f"Bearer {secret}"}
    url = f"{keyed_server.url}/v1/chat/completions"
    answer = await page.request.post(url, data=CHAT, headers=headers)
    await page.reload()

    assert answer.status == 200
    card = page.get_by_role("listitem", name="till")
    await card.get_by_text("9 of 10 left").wait_for()
    shown = await card.inner_text()
    assert "requests a month" in shown
    assert "only echo:latest" in shown
    assert "is good until" in shown
    assert await findings(page) == []
    # It was shown once.
    assert secret not in await page.content()


async def test_a_key_is_good_until_it_is_revoked_where_nobody_says(
    page: Page, keyed_server: Server
) -> None:
    await administer(page, keyed_server)
    await page.get_by_label("Whose, or what for").fill("lasting")

    await page.get_by_role("button", name="Make key").click()

    card = page.get_by_role("listitem", name="lasting")
    await expect(card).to_contain_text("does not expire")
    await expect(card).to_contain_text("No limit.")


async def test_a_rotated_key_has_a_new_secret(page: Page, keyed_server: Server) -> None:
    _, old = key_of(keyed_server.log.parent / "home", "turned", scopes=("llm:chat",))
    await administer(page, keyed_server)

    await page.get_by_role("button", name="Rotate turned").click()
    await page.get_by_role("button", name="Rotate", exact=True).click()
    secret = await page.locator("main pre").inner_text()

    assert secret != old
    for shown in (old, secret):
        headers = {"authorization": f"Bearer {shown}"}
        answer = await page.request.get(f"{keyed_server.url}/v1/models", headers=headers)
        assert answer.status == 200


async def test_a_limit_that_is_none_is_told_and_makes_no_key(
    page: Page, keyed_server: Server
) -> None:
    await administer(page, keyed_server)
    await page.get_by_label("Whose, or what for").fill("scopeless")
    for box in await page.get_by_role("checkbox").all():
        await box.uncheck()

    await page.get_by_role("button", name="Make key").click()

    assert "a key needs a scope" in await page.get_by_role("alert").inner_text()
    assert await page.get_by_role("listitem", name="scopeless").count() == 0


async def test_a_budget_is_told_to_the_last_token(page: Page, echo_server: Server) -> None:
    def budget(most: float, used: float = 0) -> dict[str, float | None]:
        return {"most": most, "used": used, "held": 0, "ends_s": None}

    spent = {
        "tokens_per_day": budget(12345, 1),
        "requests_per_day": budget(1234),
        "usd_per_day": budget(2, 0.012345),
    }
    await answer_with(page, {"name": "till", "spent": spent})

    await page.goto(f"{echo_server.url}/console#/keys")

    card = page.get_by_role("listitem", name="till")
    await card.get_by_text("12,344 of 12,345 left").wait_for()
    await card.get_by_text("1,234 of 1,234 left").wait_for()
    await card.get_by_text("1.99 of 2 left").wait_for()


async def test_two_limits_of_a_kind_are_refused(page: Page, keyed_server: Server) -> None:
    await administer(page, keyed_server)
    await page.get_by_label("Whose, or what for").fill("twice")
    await limit(page, "10", "requests")
    await limit(page, "20", "requests")

    await page.get_by_role("button", name="Make key").click()

    assert "two limits of requests a day" in await page.get_by_role("alert").inner_text()
    assert await page.get_by_role("listitem", name="twice").count() == 0


async def test_a_secret_stays_until_it_is_dismissed(page: Page, keyed_server: Server) -> None:
    key_of(keyed_server.log.parent / "home", "goner", scopes=("llm:chat",))
    await administer(page, keyed_server)
    await page.get_by_label("Whose, or what for").fill("stayer")
    await page.get_by_role("button", name="Make key").click()
    secret = await page.locator("main pre").inner_text()
    # The list is drawn again after that, and a click on what goes meanwhile is lost.
    await page.get_by_role("listitem", name="stayer").wait_for()

    await page.get_by_role("button", name="Revoke goner").click()
    await page.get_by_role("button", name="Revoke", exact=True).click()
    await expect(page.get_by_role("listitem", name="goner")).to_have_count(0)

    assert await page.locator("main pre").inner_text() == secret
    await page.get_by_role("button", name="Dismiss").click()
    await expect(page.locator("main pre")).to_have_count(0)


async def test_the_first_key_locks_nobody_out_unasked(
    page: Page, serve: Serve, echo_home: Path
) -> None:
    server = serve(echo_home)
    await page.goto(f"{server.url}/console#/keys")
    await page.get_by_label("Whose, or what for").fill("first")
    # By its role: what is asked before it is made has the word in its label, too.
    administering = page.get_by_role("checkbox", name="administer")
    await administering.uncheck()

    await page.get_by_role("button", name="Make key").click()
    await page.get_by_text("nobody can make or revoke one here").wait_for()
    await page.get_by_role("button", name="Cancel").click()

    await page.get_by_text("There is no key yet").wait_for()
    assert not await administering.is_checked()


async def test_many_keys_are_found_by_name(page: Page, echo_server: Server) -> None:
    await answer_with(page, *({"name": f"key-{at}"} for at in range(500)))
    await page.goto(f"{echo_server.url}/console#/keys")
    cards = page.get_by_role("list", name="Keys").get_by_role("listitem")
    await expect(cards).to_have_count(500)

    await page.get_by_label("Find a key").fill("KEY-49")

    await expect(cards).to_have_count(11)
    await page.get_by_text("11 of 500").wait_for()
    # It is above the list, however long that is.
    assert await page.get_by_text("Make a key").is_visible()
    making = await page.get_by_text("Make a key").bounding_box()
    assert making is not None
    assert making["y"] < 400
