"""How soon the console is there: cold loads of its first view in Chromium, and what is transferred.

python benchmarks/console.py http://127.0.0.1:11434 --rounds 15
"""

import argparse
import asyncio
import shutil
from statistics import median
from typing import Any

from playwright.async_api import Browser, async_playwright

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


async def load(browser: Browser, url: str) -> tuple[float, float, float, int]:
    """Milliseconds to the first paint and until it is usable; bytes and requests transferred."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
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


async def main() -> None:
    """Load it again and again, each time in a browser profile that has never seen it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    async with async_playwright() as playwright:
        program = shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        # The first one also starts the browser's own processes.
        await load(browser, asked.url)
        loads = [await load(browser, asked.url) for _ in range(asked.rounds)]
        await browser.close()
    names = ("first contentful paint, ms", "usable, ms", "bytes", "requests")
    for name, values in zip(names, zip(*loads, strict=True), strict=True):
        print(f"{name}: {median(values):.0f} ({min(values):.0f} to {max(values):.0f})")


if __name__ == "__main__":
    asyncio.run(main())
