"""Whom the console reaches: by assistive technology, by keyboard alone, enlarged, behind a proxy,
and over a thin line."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from playwright.async_api import expect

from tests.console.accessibility import findings
from tests.console.test_frame import VIEWS, open_view
from tests.serving import WITHIN_S, Server

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

THEMES = ("light", "dark")
INNER = ("footprint/receipts", "models/echo:latest")
MOST_BYTES = 250_000
FOCUSED = """
() => {
  const one = document.activeElement;
  const label = one.labels?.[0]?.textContent ?? one.ariaLabel ?? one.textContent.trim();
  const { outlineStyle } = getComputedStyle(one);
  return [label, outlineStyle];
}
"""


@pytest.mark.parametrize("theme", THEMES)
async def test_axe_finds_nothing_serious_in_any_view(
    page: "Page", echo_server: Server, theme: Any
) -> None:
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    found = {}
    body = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}
    answer = await page.request.post(f"{echo_server.url}/v1/chat/completions", data=body)
    receipt = answer.headers["x-canteen-receipt"]

    for view in (*VIEWS, *INNER, f"footprint/{receipt}"):
        await open_inner(page, echo_server, view)
        found[view] = await findings(page)

    assert {view: told for view, told in found.items() if told} == {}


async def test_nothing_is_cut_off_at_200_percent(page: "Page", echo_server: Server) -> None:
    wide = []
    for width in (640, 390, 320):
        await page.set_viewport_size({"width": width, "height": 400})
        for view in (*VIEWS, *INNER):
            await open_inner(page, echo_server, view)
            if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wide.append((view, width))

    assert wide == []


async def test_a_model_is_loaded_by_the_keyboard_alone(page: "Page", echo_server: Server) -> None:
    # Another test may have loaded it.
    unloading = {"model": "echo-embed", "input": [], "keep_alive": 0}
    async with httpx.AsyncClient(
        base_url=echo_server.url, trust_env=False, timeout=WITHIN_S
    ) as caller:
        (await caller.post("/api/embed", json=unloading)).raise_for_status()
    await page.goto(f"{echo_server.url}/console")
    await page.get_by_label("Message").wait_for()

    await tab_to(page, "Models")
    await page.keyboard.press("Enter")
    await page.get_by_role("table", name="Models").wait_for()
    await tab_to(page, "Load echo-embed:latest")
    await page.keyboard.press("Enter")

    await page.get_by_text("Loading echo-embed:latest: done.").wait_for()
    # That is said before the store was looked at again; until then a press does nothing.
    unload = page.get_by_role("button", name="Unload echo-embed:latest")
    await expect(unload).to_be_enabled()
    await tab_to(page, "Unload echo-embed:latest")
    await page.keyboard.press("Enter")
    await page.get_by_text("Unloading echo-embed:latest: done.").wait_for()


async def test_every_view_is_reached_by_the_keyboard_alone(
    page: "Page", echo_server: Server
) -> None:
    await page.goto(f"{echo_server.url}/console")
    await page.get_by_label("Message").wait_for()
    for view in VIEWS[1:]:
        # A view that was opened has the focus.
        await page.evaluate("document.querySelector('.skip').focus()")
        await tab_to(page, "", href=f"#/{view}")
        await page.keyboard.press("Enter")
        await page.locator(f"#views a[aria-current][href='#/{view}']").wait_for()

        assert await page.evaluate("document.activeElement.id") == "main"


async def test_it_works_where_a_proxy_has_put_it(page: "Page", echo_server: Server) -> None:
    async with behind_prefix(echo_server, "/llm") as url:
        await page.goto(f"{url}/llm/console/")
        await page.get_by_label("Message").fill("one two three")
        await page.keyboard.press("Enter")
        await page.get_by_role("region", name="Receipt").wait_for()
        await page.get_by_role("link", name="Now", exact=True).click()
        await page.get_by_text("live", exact=True).wait_for()

    assert page.url.startswith(f"{url}/llm/console#")


async def test_the_first_view_is_small(page: "Page", echo_server: Server) -> None:
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))

    await page.goto(f"{echo_server.url}/console")
    await page.get_by_label("Message").wait_for()

    assert 5 < len(sizes) < 40
    assert sum(sizes) < MOST_BYTES


async def open_inner(page: "Page", server: Server, view: str) -> None:
    if view in VIEWS:
        await open_view(page, server, view)
        return
    await page.goto(f"{server.url}/console#/{view}")
    # Until then the heading may be that of the view before.
    root = view.partition("/")[0]
    await page.locator(f"#views a[aria-current][href='#/{root}']").wait_for()
    await page.locator("main h1").wait_for(state="attached")
    await page.locator(".loading").wait_for(state="detached")


async def tab_to(page: "Page", label: str, *, href: str = "") -> None:
    """Press Tab until what has the label, or leads there, has the focus; it must be seen to."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        told, outline = await page.evaluate(FOCUSED)
        leads = await page.evaluate("document.activeElement.getAttribute('href')")
        if (href and leads == href) or (not href and told == label):
            assert outline != "none"
            return
    raise AssertionError(f"Tab does not lead to {label or href}")


@asynccontextmanager
async def behind_prefix(server: Server, prefix: str) -> AsyncIterator[str]:
    """A proxy that has the server under a prefix, which it strips; one request a connection."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            head = head.replace(f" {prefix}/".encode(), b" /", 1)
            head = head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
            head = head.replace(b"Connection: keep-alive\r\n", b"")
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", server.port)
            inner_writer.write(head)
            await asyncio.gather(_pipe(reader, inner_writer), _pipe(inner_reader, writer))

    proxy = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    async with proxy:
        yield f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
