"""Keys in the console: what each may, and what is left of its budgets."""

import json
from typing import TYPE_CHECKING

import pytest

from tests.console.accessibility import findings
from tests.serving import Server, key_of

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}


async def administer(page: "Page", server: Server) -> str:
    """Open the view with an admin's key, which is given back."""
    _, admin = key_of(server.log.parent / "home", "admin", scopes=("llm:admin",))
    await page.add_init_script(f"sessionStorage.setItem('canteen.key', {json.dumps(admin)})")
    await page.goto(f"{server.url}/console#/keys")
    await page.get_by_role("list", name="Keys").wait_for()
    return admin


async def test_a_key_with_a_budget_shows_what_is_left_of_it(
    page: "Page", keyed_server: Server
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
    page: "Page", keyed_server: Server
) -> None:
    await administer(page, keyed_server)
    await page.get_by_label("Whose, or what for").fill("lasting")

    await page.get_by_role("button", name="Make key").click()

    card = page.get_by_role("listitem", name="lasting")
    assert "does not expire" in await card.inner_text()
    assert "No limit." in await card.inner_text()


async def test_a_rotated_key_has_a_new_secret(page: "Page", keyed_server: Server) -> None:
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
    page: "Page", keyed_server: Server
) -> None:
    await administer(page, keyed_server)
    await page.get_by_label("Whose, or what for").fill("scopeless")
    for box in await page.get_by_role("checkbox").all():
        await box.uncheck()

    await page.get_by_role("button", name="Make key").click()

    assert "a key needs a scope" in await page.get_by_role("alert").inner_text()
    assert await page.get_by_role("listitem", name="scopeless").count() == 0
