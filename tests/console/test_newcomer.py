"""The whole way of somebody who has never seen it: an empty store, and the console alone."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

from tests import serving
from tests.console.test_frame import open_view
from tests.serving import Server

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose models were taken away, which will use them once they are there again."""
    folder = tmp_path_factory.mktemp("newcomer")
    environ = {"CANTEEN_MODEL": "echo", "CANTEEN_EMBEDDER": "echo-embed"}
    server = serving.start(folder / "home", folder / "serve.log", environ)
    for name in environ.values():
        body = {"model": name}
        url = f"{server.url}/api/delete"
        httpx.request("DELETE", url, json=body, trust_env=False, timeout=serving.WITHIN_S)
    yield server
    serving.end(server)


async def pull(page: "Page", server: Server, *names: str) -> None:
    await open_view(page, server, "models")
    await page.get_by_text("The store is empty.").wait_for()
    for name in names:
        await page.get_by_role("button", name=f"Pull {name}:latest").click()
        await page.get_by_text(f"Pulling {name}:latest: done.").wait_for()
        # The menu is drawn again then, and a click on what goes meanwhile is lost.
        offer = page.get_by_role("listitem").filter(has_text=f"{name}:latest")
        await offer.get_by_text("in the store").wait_for()


async def chat(page: "Page", server: Server) -> None:
    await open_view(page, server, "play")
    await page.get_by_label("Message").fill("is anybody there")
    await page.keyboard.press("Enter")
    await page.get_by_text("How these figures come about").wait_for()


async def classify(page: "Page", server: Server) -> None:
    await page.goto(f"{server.url}/console#/tasks/classify")
    await page.get_by_role("button", name="Classify", exact=True).click()
    await page.get_by_role("region", name="Result").locator("meter").first.wait_for()


async def test_a_newcomer_pulls_chats_classifies_sees_what_it_drank_and_plans_a_gpu(
    page: "Page", empty_server: Server
) -> None:
    await pull(page, empty_server, "echo", "echo-embed")
    await chat(page, empty_server)
    await classify(page, empty_server)

    await open_view(page, empty_server, "footprint")
    # Today may be another day by now.
    await page.get_by_label("Time", exact=True).select_option("week")
    drunk = page.get_by_role("region", name="In all")
    await drunk.get_by_text("Water, power plants").wait_for()
    assert "2" in await drunk.locator(".figure", has_text="Requests").locator(".value").inner_text()

    await open_view(page, empty_server, "plan")
    await page.get_by_role("button", name="Llama 3.1 8B on one L4").click()
    fits = page.get_by_role("region", name="Memory")
    await fits.get_by_text("It fits").wait_for()
    assert "g6.xlarge" in await page.locator("main").inner_text()
