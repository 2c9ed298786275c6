"""How the service goes, as the console hears it."""

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests import serving
from tests.conftest import Serve
from tests.console.acting import show_a_key
from tests.serving import Server

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_it_is_heard_and_not_asked_for_again(page: "Page", echo_server: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(echo_server.url)))
    # A service that is silent for long is asked anew, so no time passes.
    await page.clock.install(time=0)
    await page.clock.pause_at(1)
    await page.goto(f"{echo_server.url}/console#/now")
    await page.get_by_text("live", exact=True).wait_for()

    body = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}
    await page.request.post(f"{echo_server.url}/v1/chat/completions", data=body)
    card = page.get_by_role("region", name="echo:latest")
    await card.get_by_text("p50 · p95, last minute").first.wait_for()

    assert asked.count("/v1/now") == 1
    assert "/metrics" not in asked
    service = await page.get_by_role("region", name="The service").inner_text()
    for name in ("Power", "Tokens a second", "Running and waiting", "Memory of models"):
        assert name in service


async def test_the_last_minutes_are_there_from_the_first_look(
    page: "Page", echo_server: Server
) -> None:
    await page.goto(f"{echo_server.url}/console#/now")
    line = page.locator(".plot .line-0").first
    # A service that has just begun knows of no power yet.
    await expect(line).to_have_attribute("d", re.compile("M"))

    await page.reload()
    await page.get_by_text("live", exact=True).wait_for()

    assert await line.get_attribute("d")


async def test_a_plot_says_between_what_values_it_is(page: "Page", echo_server: Server) -> None:
    await page.goto(f"{echo_server.url}/console#/now")
    card = page.get_by_role("region", name="echo:latest")

    memory = card.get_by_role("img", name="Memory over the last ten minutes")
    await expect(memory).to_have_accessible_name(re.compile(r": [\d.,]+ .?i?B to [\d.,]+ MiB$"))
    await expect(card.get_by_text(re.compile(r"^at most [\d.,]+ MiB$"))).to_have_count(1)


async def test_what_ends_is_told_and_heard_again_when_it_is_back(
    page: "Page", serve: Serve, echo_home: Path, tmp_path: Path
) -> None:
    server = serve(echo_home)
    await page.goto(f"{server.url}/console#/now")
    await page.get_by_text("Healthy").wait_for()

    server.stop()
    await page.get_by_text("No word from the service").wait_for()
    again = serving.start(
        echo_home,
        tmp_path / "again.log",
        {"CANTEEN_MODEL": "echo"},
        arguments=("--port", str(server.port)),
    )

    try:
        await page.get_by_text("Healthy").wait_for()
    finally:
        serving.end(again)


async def test_a_service_that_is_silent_is_asked_anew(
    page: "Page", serve: Serve, echo_home: Path
) -> None:
    server = serve(echo_home)
    await page.clock.install()
    await page.goto(f"{server.url}/console#/now")
    await page.get_by_text("Healthy").wait_for()

    server.process.send_signal(signal.SIGSTOP)
    try:
        await page.clock.fast_forward(5000)
        await page.get_by_text("No word from the service").wait_for()
        async with page.expect_request("**/v1/now"):
            await page.clock.fast_forward(1000)
    finally:
        server.process.send_signal(signal.SIGCONT)

    await page.get_by_text("Healthy").wait_for()


async def test_who_may_not_see_it_is_told_which_scope_is_missing(
    page: "Page", keyed_server: Server
) -> None:
    await show_a_key(page, keyed_server, "now", "llm:chat")

    await page.get_by_role("alert").filter(has_text="llm:footprint").wait_for()
