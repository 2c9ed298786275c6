"""What several tests of the console do with a page."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.serving import Server, key_of

if TYPE_CHECKING:
    from playwright.async_api import Page, Route


async def show_a_key(page: "Page", server: Server, view: str, *scopes: str) -> str:
    """Open a view of a service that asks for a key, with a new one of these scopes; its secret."""
    _, secret = key_of(server.log.parent / "home", view, scopes=scopes)
    await page.goto(f"{server.url}/console#/{view}")
    await page.get_by_label("Key", exact=True).fill(secret)
    await page.keyboard.press("Enter")
    return secret


@asynccontextmanager
async def held(page: "Page", address: str) -> AsyncIterator[None]:
    """Have all that is asked of an address wait as long as the block lasts."""
    may_go_on = asyncio.Event()

    async def hold(route: "Route") -> None:
        await may_go_on.wait()
        await route.continue_()

    await page.route(address, hold)
    try:
        yield
    finally:
        may_go_on.set()
