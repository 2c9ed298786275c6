"""How the console writes figures and tells of work, asked of its modules in the browser."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def ask(page: "Page", module: str, expression: str, given: Any = None) -> Any:
    """What an expression over a module `m` and `given` gives."""
    program = (
        f"async (given) => {{ const m = await import('/console/{module}'); return {expression} }}"
    )
    return await page.evaluate(program, given)


async def test_a_figure_has_three_digits_and_a_prefix(console: "Page") -> None:
    figures = [[0.00601, "Wh"], [1234.0, "Wh"], [0, "g"]]

    told = await ask(console, "figures.js", "given.map((one) => m.scaled(...one))", figures)

    assert told == ["6.01 mWh", "1.23 kWh", "0 g"]


async def test_money_has_a_prefix_only_where_it_would_be_mostly_zeros(console: "Page") -> None:
    costs = [12500, 0.0001, 9.01e-6, 6.246e-10, 0]
    bounds = {"low": 4e-7, "central": 9.01e-7, "high": 2e-6}

    told = await ask(console, "figures.js", "given.map((one) => m.scaled(one, '$'))", costs)
    span = await ask(console, "figures.js", "m.span(given, '$')", bounds)

    assert told == ["$12,500", "$0.0001", "9.01 µ$", "0.625 n$", "$0"]
    assert span == "400 \N{EN DASH} 2,000 n$"


async def test_a_figure_that_is_not_known_is_told_so(console: "Page") -> None:
    text = await ask(console, "figures.js", "m.estimate('Cost', null, '$').textContent")

    assert text == "Costunknown"


async def test_a_time_has_its_year_where_that_is_another(console: "Page") -> None:
    now = "m.moment(new Date(new Date().getFullYear(), 4, 6))"
    old = "m.moment(new Date(2021, 4, 6, 7, 8))"

    assert await ask(console, "figures.js", now) == "May 6, 00:00"
    assert await ask(console, "figures.js", old) == "May 6, 2021, 07:08"


async def test_axes_have_round_numbers_within_their_bounds(console: "Page") -> None:
    asked = [[0, 7, 4], [111, 453, 4], [0.2, 0.9, 4], [5, 5, 4]]

    told = await ask(console, "plot.js", "given.map((one) => m.ticks(...one))", asked)

    assert told[0] == [0, 2, 4, 6]
    assert told[1] == [200, 300, 400]
    assert told[2] == [0.2, 0.4, 0.6, 0.8]
    assert told[3] == [5]


async def test_work_tells_its_stages_bytes_and_what_is_left(console: "Page") -> None:
    program = """async () => {
        const { Work } = await import("/console/work.js");
        const work = new Work("Pull again.");
        document.body.append(work.node);
        work.begin("Pulling it");
        work.step({ status: "pulling manifest" });
        work.step({ status: "pulling abc", total: 4194304, completed: 1048576 });
        await new Promise((resolve) => setTimeout(resolve, 50));
        work.step({ status: "pulling abc", total: 4194304, completed: 2097152 });
        const bar = work.node.querySelector("progress");
        const stages = [...work.node.querySelectorAll("li")].map((one) => one.textContent);
        return [work.said.textContent, bar.value / bar.max, stages];
    }"""

    said, share, stages = await console.evaluate(program)

    assert said.startswith("pulling abc · 2 MiB of 4 MiB · ")
    assert "/s · " in said
    assert said.endswith(" s left")
    assert share == 0.5
    assert stages == ["pulling manifest", "pulling abc"]
