"""How the console reads metrics and writes figures, asked of its modules in the browser."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEXT = r"""# HELP t_seconds Time
t_seconds_bucket{le="0.1",model_name="a\"b"} 2.0
t_seconds_bucket{le="0.2",model_name="a\"b"} 4.0
t_seconds_bucket{le="+Inf",model_name="a\"b"} 4.0
t_seconds_bucket{le="+Inf",model_name="other"} 9.0
"""


async def ask(page: "Page", module: str, expression: str, given: Any = None) -> Any:
    """What an expression over a module `m` and `given` gives."""
    program = (
        f"async (given) => {{ const m = await import('/console/{module}'); return {expression} }}"
    )
    return await page.evaluate(program, given)


async def test_a_quantile_lies_between_the_bounds_of_its_bucket(console: "Page") -> None:
    counts = "m.buckets(m.parsed(given), 't_seconds', 'a\"b')"

    assert await ask(console, "metrics.js", f"m.quantile(0.75, {counts})", TEXT) == pytest.approx(
        0.15
    )
    assert await ask(console, "metrics.js", f"m.quantile(0.5, {counts}, {counts})", TEXT) is None


async def test_a_figure_has_three_digits_and_a_prefix(console: "Page") -> None:
    figures = [[0.00601, "Wh"], [1234.0, "Wh"], [0, "g"], [9.01e-7, "$"], [12.5, "$"]]

    told = await ask(console, "figures.js", "given.map((one) => m.scaled(...one))", figures)

    assert told == ["6.01 mWh", "1.23 kWh", "0 g", "$0.000000901", "$12.5"]


async def test_a_figure_that_is_not_known_is_told_so(console: "Page") -> None:
    text = await ask(console, "figures.js", "m.estimate('Cost', null, '$').textContent")

    assert text == "Costunknown"
