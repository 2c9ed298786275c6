"""One model in the console: its records, what its formats cost, and where it comes from."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Page, expect

from canteen.lifecycle.quantize import records
from canteen.runtime.catalog import Catalog
from tests import serving
from tests.conftest import pull
from tests.console.accessibility import findings
from tests.console.acting import held
from tests.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


LONG = 188 * "l" + ":1"


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value * 0.8, "high": value * 1.2}


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def row(name: str, megabytes: int, perplexity: float) -> dict[str, Any]:
    return {
        "format": name,
        "disk_bytes": megabytes * 10**6,
        "load_bytes": megabytes * 3 * 10**6,
        "decode_tokens_per_s": 1000 / megabytes,
        "perplexity": perplexity,
        "loss": perplexity / 10 - 1,
        "accuracy": interval(0.5),
        "joules_per_1000_tokens": interval(megabytes),
    }


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a model with records, and of one that a job made of it."""
    folder = tmp_path_factory.mktemp("known-models")
    home = pull(folder / "home", "echo", "echo-embed")
    catalog = Catalog(home)
    quality = {"perplexity_before": 10.0, "perplexity_after": 10.1, "bytes_after": 2 * 1024**2}
    catalog.put(replace(catalog.get("echo"), name="base:1", digest=digest(1), quality=quality))
    lineage = {"parent": "base:1", "data_digest": digest(2), "job": "job_1"}
    made = replace(catalog.get("echo"), name="mine:1", digest=digest(3), source="job:job_1")
    catalog.put(replace(made, metadata={"lineage": lineage}))
    for number, name in enumerate((LONG, "brief:1", "lasting:1"), 4):
        catalog.put(replace(catalog.get("echo"), name=name, digest=digest(number)))
    told = {
        "model": "base:1",
        "float_perplexity": 10.0,
        "max_loss": 0.015,
        "rows": [row("f16", 200, 10.0), row("int8", 100, 10.1), row("int4", 50, 12.0)],
        "recommended": "int8",
        "verdict": "int8 is the smallest that will do.",
        "failed": [{"format": "nf4", "why": "it <b>did not fit</b>"}],
    }
    records.save(told, home, 1e9)
    server = serving.start(home, folder / "serve.log", {"CANTEEN_MODEL": "echo"})
    yield server
    serving.end(server)


async def store_of(page: Page, server: Server, models: int, **told: str) -> None:
    """Let the store tell of so many models, which are like its first."""
    first = (await (await page.request.get(f"{server.url}/v1/store")).json())["models"][0] | told
    named = [first | {"name": f"model-{at}:1"} for at in range(models)]
    await page.route("**/v1/store", lambda route: route.fulfill(json={"models": named}))


async def opened(page: Page, server: Server, model: str) -> None:
    await page.goto(f"{server.url}/console#/models/{model}")
    await page.get_by_role("heading", name=model).wait_for()


async def test_a_model_of_the_list_is_opened_to_its_record(page: Page, known: Server) -> None:
    await page.goto(f"{known.url}/console#/models")

    await page.get_by_role("link", name="base:1").click()

    record = await page.get_by_role("region", name="Quality record").inner_text()
    assert "10.1" in record
    assert "+1 %" in record


async def test_formats_are_drawn_with_their_intervals(page: Page, known: Server) -> None:
    await opened(page, known, "base:1")
    formats = page.get_by_role("region", name="Formats compared")

    # Against size, speed and energy; a chart is drawn once its room is known.
    await expect(formats.locator(".chart .mark")).to_have_count(9)
    await page.get_by_label("Quality", exact=True).select_option("accuracy")
    await formats.get_by_role("img", name="Accuracy of each format against On disk").wait_for()

    await expect(formats.locator(".chart .mark.best")).to_have_count(3)
    await expect(formats.locator(".chart .whisker")).to_have_count(18)
    assert "it <b>did not fit</b>" in await formats.inner_text()


async def test_axe_finds_nothing_serious_in_the_drawings(page: Page, known: Server) -> None:
    await opened(page, known, "base:1")

    assert await findings(page) == []


async def test_lineage_leads_from_the_parent_by_a_job_to_the_child(
    page: Page, known: Server
) -> None:
    await opened(page, known, "mine:1")
    tree = page.get_by_role("region", name="Lineage")

    await expect(tree).to_contain_text("job_1")
    await tree.get_by_role("link", name="base:1").click()
    await page.get_by_role("heading", name="base:1").wait_for()

    await expect(tree).to_contain_text("mine:1")


@pytest.mark.parametrize("view", [f"models/{LONG}", "now"])
async def test_a_long_name_makes_no_page_wider(page: Page, known: Server, view: str) -> None:
    await page.request.post(f"{known.url}/api/generate", data={"model": LONG})
    await page.set_viewport_size({"width": 390, "height": 800})

    await page.goto(f"{known.url}/console#/{view}")
    await page.locator("main").get_by_text(LONG).first.wait_for()

    assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def test_what_was_not_measured_says_how_to_measure_it(page: Page, known: Server) -> None:
    await opened(page, known, "echo:latest")

    await page.get_by_text("canteen quantize echo:latest").wait_for()
    await page.get_by_text("canteen evaluate classify").wait_for()


async def test_a_model_that_is_none_says_where_to_get_it(page: Page, known: Server) -> None:
    await page.goto(f"{known.url}/console#/models/none:1")

    await page.get_by_text("There is no such model in the store").wait_for()


async def test_what_is_on_the_menu_can_be_pulled_from_it(page: Page, known: Server) -> None:
    # By another name of its own: this one is for this test.
    await page.request.delete(f"{known.url}/api/delete", data={"model": "echo-embed"})
    await page.goto(f"{known.url}/console#/models")
    await page.get_by_text("On the menu").click()

    await page.get_by_role("button", name="Pull echo-embed:latest").click()

    await page.get_by_text("Pulling echo-embed:latest: done.").wait_for()
    await page.get_by_role("link", name="echo-embed:latest").wait_for()


async def test_a_model_that_comes_is_there_in_the_chat(page: Page, known: Server) -> None:
    await page.goto(f"{known.url}/console#/play")
    await page.get_by_label("Model", exact=True).wait_for()
    copied = {"source": "base:1", "destination": "late:1"}
    await page.request.post(f"{known.url}/api/copy", data=copied)

    await page.goto(f"{known.url}/console#/plan")
    await page.goto(f"{known.url}/console#/play")

    await page.get_by_label("Model", exact=True).select_option("late:1")


async def test_a_pull_goes_on_while_other_views_are_looked_at(page: Page, known: Server) -> None:
    async with held(page, "**/api/pull"):
        await page.goto(f"{known.url}/console#/models")
        await page.get_by_label("Pull a model").fill("echo")
        await page.keyboard.press("Enter")
        await page.get_by_text("Pulling echo …").wait_for()

        await page.goto(f"{known.url}/console#/plan")
        await page.get_by_role("region", name="Memory").wait_for()
        await page.goto(f"{known.url}/console#/models")

        await page.get_by_text("Pulling echo …").wait_for()
        await page.get_by_text("On the menu").click()
        await expect(page.get_by_role("button", name="Pull", exact=True)).to_be_disabled()
        await expect(page.get_by_role("button", name="Pull smollm2:135m")).to_be_disabled()
    await page.get_by_text("Pulling echo: done.").wait_for()
    await expect(page.get_by_role("button", name="Pull smollm2:135m")).to_be_enabled()


async def test_what_is_done_elsewhere_is_seen_and_leaves_the_focus(
    page: Page, known: Server
) -> None:
    await page.clock.install()
    await page.goto(f"{known.url}/console#/models")
    row = page.get_by_role("row", name="lasting:1")
    await row.get_by_text("on disk").wait_for()
    await row.get_by_role("button", name="Load lasting:1").focus()
    await page.request.post(f"{known.url}/api/generate", data={"model": "lasting:1"})

    await page.clock.fast_forward(4000)

    await row.get_by_text("ready").wait_for()
    await expect(row.get_by_role("button", name="Unload lasting:1")).to_be_focused()


async def test_a_model_is_loaded_let_go_and_deleted_on_its_own_page(
    page: Page, known: Server
) -> None:
    await opened(page, known, "brief:1")
    facts = page.get_by_role("region", name="What it is")

    await facts.get_by_role("button", name="Load brief:1").click()
    await facts.get_by_text("in memory").wait_for()
    await facts.get_by_role("button", name="Unload brief:1").click()
    await facts.get_by_text("Unloading brief:1: done.").wait_for()
    await facts.get_by_role("button", name="Delete brief:1").click()
    await page.get_by_role("button", name="Delete", exact=True).click()

    await page.get_by_role("table", name="Models").wait_for()
    await expect(page.get_by_role("link", name="brief:1")).to_have_count(0)


async def test_a_model_that_ranks_is_loaded_like_one_that_writes(page: Page, known: Server) -> None:
    await store_of(page, known, 1, kind="reranker")
    await page.route("**/api/generate", lambda route: route.fulfill(json={}))
    await page.goto(f"{known.url}/console#/models")

    async with page.expect_request("**/api/generate") as asked:
        await page.get_by_role("button", name="Load model-0:1").click()

    assert (await asked.value).post_data_json == {
        "model": "model-0:1",
        "keep_alive": -1,
        "stream": False,
    }


async def test_what_went_wrong_is_told_in_the_row_which_keeps_the_focus(
    page: Page, known: Server
) -> None:
    await store_of(page, known, 300)
    wrong = {"error": "no room for it"}
    await page.route("**/api/generate", lambda route: route.fulfill(status=500, json=wrong))
    await page.goto(f"{known.url}/console#/models")
    row = page.get_by_role("row", name="model-200:1")

    await row.get_by_role("button", name="Load model-200:1").click()

    assert "no room for it" in await row.get_by_role("alert").inner_text()
    await expect(row.get_by_role("button", name="Load model-200:1")).to_be_focused()


async def test_many_models_are_found_by_name(page: Page, known: Server) -> None:
    await store_of(page, known, 300)
    await page.goto(f"{known.url}/console#/models")
    rows = page.get_by_role("table", name="Models").locator("tbody").get_by_role("row")
    await expect(rows).to_have_count(300)

    await page.get_by_label("Find a model").fill("Model-29")

    await expect(rows).to_have_count(11)
    await page.get_by_text("11 of 300").wait_for()
