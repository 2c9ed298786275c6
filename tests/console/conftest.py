"""A browser of the tests' own, which tells all that went wrong in a page."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests import serving
from tests.conftest import pull
from tests.serving import Server

if TYPE_CHECKING:
    from playwright.async_api import Browser, ConsoleMessage, Page

# A machine may have other work, too.
PATIENCE_MS = 30_000
# What the browser says of an answer that is an error, or of none, whatever the page does about it.
UNANSWERED = "Failed to load resource: "


@pytest.fixture(scope="session")
def keyed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the echo models that asks for keys; its home is beside its log."""
    folder = tmp_path_factory.mktemp("keyed-server")
    home = pull(folder / "home", "echo", "echo-embed")
    environ = {"CANTEEN_MODEL": "echo", "CANTEEN_KEYS": "on"}
    server = serving.start(home, folder / "serve.log", environ)
    yield server
    serving.end(server)


@pytest.fixture(scope="session")
def paced_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the echo models that writes 100 tokens/s."""
    folder = tmp_path_factory.mktemp("paced-server")
    home = serving.set_pace(pull(folder / "home", "echo", "echo-embed"), tokens_per_s=100.0)
    server = serving.start(home, folder / "serve.log", {"CANTEEN_MODEL": "echo"})
    yield server
    serving.end(server)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator["Browser"]:
    """Chromium without a window."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no Chromium here; `make system-packages` installs it")
    from playwright.async_api import async_playwright, expect

    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: "Browser", tmp_path: Path) -> AsyncIterator["Page"]:
    """An empty page. At the end nothing may have failed in it, nor have broken its policy; how it
    looks then is kept in the folder of the test."""
    problems: list[str] = []

    def hear(message: "ConsoleMessage") -> None:
        if message.type in ("error", "warning") and not message.text.startswith(UNANSWERED):
            problems.append(message.text)

    async with await browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: problems.append(str(error)))
        yield page
        await page.screenshot(path=tmp_path / "page.png")
    assert problems == []


@pytest_asyncio.fixture(loop_scope="session")
async def console(page: "Page", echo_server: Server) -> "Page":
    """The console of a server of the echo models, at its first view."""
    await page.goto(f"{echo_server.url}/console")
    await page.get_by_label("Message").wait_for()
    return page


async def run_python(text: str) -> str:
    """What a program prints; nothing may be wrong with it."""
    program = [sys.executable, "-c", text]
    ran = await asyncio.to_thread(subprocess.run, program, capture_output=True, text=True)
    assert ran.stderr == ""
    return ran.stdout
