"""What axe-core has against a page."""

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Page

# Serious and critical findings, each with the first element that has it.
FINDINGS = """
async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .filter((one) => one.impact === "serious" || one.impact === "critical")
  .map((one) => `${one.id}: ${one.nodes[0].html}`)
"""


async def findings(page: "Page") -> list[str]:
    """What is serious or critical of the page as it is."""
    if not await page.evaluate("Boolean(globalThis.axe)"):
        await page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    found: list[str] = await page.evaluate(FINDINGS)
    return found
