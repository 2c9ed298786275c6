"""How soon the console is there, and how evenly it is drawn while answers stream, in Chromium."""

import asyncio
import os
import shutil
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from benchmarks import log
from benchmarks.servers import Server, echo

SOON, SMOOTH = "How soon the console is there", "The console while tokens stream"
ROUNDS = 15
TOKENS_PER_S, STREAM_S, EARLIER = 100.0, 10, 20
# A frame of 60 a second that was left out.
LATE_MS = 25
WINDOW = ViewportSize(width=1440, height=900)
# From the start of the navigation: the first paint with content, and when one can type and send.
WATCH = """
new MutationObserver((_, watcher) => {
  if (!document.querySelector("textarea[aria-label='Message']")) return;
  globalThis.usableMs = performance.now();
  watcher.disconnect();
}).observe(document, { childList: true, subtree: true });
"""
TIMES = """
() => new Promise((resolve) => new PerformanceObserver((list) => {
  for (const one of list.getEntriesByName("first-contentful-paint"))
    resolve([one.startTime, globalThis.usableMs]);
}).observe({ type: "paint", buffered: true }))
"""
# When each frame began, until it is asked for no more.
FRAMES = """
() => { globalThis.frames = []; requestAnimationFrame(function look(now) {
  globalThis.frames.push(now);
  requestAnimationFrame(look);
}); }
"""


async def load(browser: Browser, url: str) -> tuple[float, float, float, int]:
    """Milliseconds to the first paint and until it is usable; bytes and requests transferred."""
    context = await browser.new_context(viewport=WINDOW)
    page = await context.new_page()
    await page.add_init_script(WATCH)
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")
    sizes: list[float] = []

    def count(event: dict[str, Any]) -> None:
        sizes.append(event["encodedDataLength"])

    session.on("Network.loadingFinished", count)
    await page.goto(f"{url}/console")
    await page.get_by_label("Message").wait_for()
    paint_ms, usable_ms = await page.evaluate(TIMES)
    await context.close()
    return paint_ms, usable_ms, sum(sizes), len(sizes)


async def compare(page: Page, words: int) -> None:
    """Ask two columns at once."""
    await page.get_by_label("Message").fill(" ".join(["word"] * words))
    await page.keyboard.press("Enter")


async def frames(browser: Browser, url: str, *, is_streaming: bool) -> list[float]:
    """Milliseconds from frame to frame under earlier answers, while somebody types and scrolls."""
    page = await browser.new_page(viewport=WINDOW)
    await page.goto(f"{url}/console#/play/compare")
    differences = page.get_by_role("region", name="Difference")
    for num in range(EARLIER):
        await compare(page, 10)
        await differences.nth(num).wait_for()
    if is_streaming:
        await compare(page, int(TOKENS_PER_S * (STREAM_S + 2)))
        await page.get_by_role("button", name="Stop").wait_for()
    await page.evaluate(FRAMES)
    for _ in range(STREAM_S):
        await page.keyboard.type("typed ", delay=60)
        await page.mouse.wheel(0, -200)
        await page.wait_for_timeout(500)
    began_ms = await page.evaluate("globalThis.frames")
    await page.close()
    return [after - before for before, after in pairwise(began_ms)]


async def measure(browser: Browser, server: Server) -> None:
    """Log cold loads, each in a browser profile that has never seen it, and then the frames."""
    # The first one also starts the browser's own processes.
    await load(browser, server.url)
    loads = [await load(browser, server.url) for _ in range(ROUNDS)]
    paint, usable, sizes, requests = zip(*loads, strict=True)
    cells = [f"{median(ms):.0f} ({min(ms):.0f} to {max(ms):.0f})" for ms in (paint, usable)]
    log.add(SOON, _load(), *cells, f"{median(sizes):,.0f}", f"{median(requests):.0f}")
    for what, is_streaming in (("nothing", False), (f"2 x {TOKENS_PER_S:.0f} tokens/s", True)):
        all_ms = await frames(browser, server.url, is_streaming=is_streaming)
        spread = [f"{ms:.1f}" for ms in np.percentile(all_ms, (50, 95, 99, 100))]
        late = sum(ms > LATE_MS for ms in all_ms) / len(all_ms)
        log.add(SMOOTH, what, _load(), f"{len(all_ms):,}", *spread, f"{late:.1%}")


def _load() -> str:
    return f"{os.getloadavg()[0]:.0f}"


async def main(server: Server) -> None:
    """Measure one in a browser."""
    async with async_playwright() as playwright:
        program = shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        await measure(browser, server)
        await browser.close()


if __name__ == "__main__":
    with echo(tokens_per_s=TOKENS_PER_S) as server:
        asyncio.run(main(server))
