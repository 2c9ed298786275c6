"""A served Canteen whose models are elsewhere: what callers hear, and what operators see."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from canteen.core.upstream import Upstream
from canteen.metering.keys.book import KeyBook
from canteen.metering.keys.key import Wanted
from canteen.metering.store import connect
from canteen.runtime import remote
from canteen.runtime.catalog import Catalog
from tests import serving
from tests.conftest import pull
from tests.serving import Server
from tests.upstream import breaks_off, refuses, stand_in

TURN = {"role": "user", "content": "who is Oppenheimer"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has no generator of this machine."""
    return tmp_path_factory.mktemp("upstreams") / "home"


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    """A server without any generator but that one."""
    put(home, "http://127.0.0.1:1/v1")
    environ = {"CANTEEN_MODEL": "upstream:a", "CANTEEN_EMBEDDER": "echo-embed"}
    made = serving.start(home, home.parent / "serve.log", environ)
    yield made
    serving.end(made)


def put(home: Path, base_url: str, **more: Any) -> None:
    """Let `upstream:a` be there."""
    where = Upstream(base_url, "m", patience_s=30.0, **more)
    Catalog(home).put(remote.upstream_card("upstream:a", where))


async def said(url: str, path: str, **body: Any) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        asked = {"model": "upstream:a", "messages": [TURN], **body}
        return await client.post(f"{url}{path}", json=asked)


async def got(url: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        return await client.get(f"{url}{path}")


async def test_an_answer_and_its_receipt_come_from_there(server: Server, home: Path) -> None:
    async with stand_in() as there:
        put(home, there.base_url, price_in=1.0, price_out=4.0)

        answer = (await said(server.url, "/v1/chat/completions")).json()

    assert answer["choices"][0]["message"]["content"] == "one two"
    told = answer["footprint"]
    assert told["engine"] == "openai"
    assert told["cost_usd"]["central"] == pytest.approx((7 * 1.0 + 2 * 4.0) / 1e6)
    assert told["energy_wh"]["grade"] == told["water_ml"]["source"]["grade"] == "D"
    assert told["energy_uj"]["grade"] == "D"


async def test_a_stream_that_is_cut_there_ends_here_in_the_dialects_error(
    server: Server, home: Path
) -> None:
    async with stand_in(breaks_off("one")) as there:
        put(home, there.base_url)

        openai = await said(server.url, "/v1/chat/completions", stream=True)
        ollama = await said(server.url, "/api/chat")

    events = [line for line in openai.text.splitlines() if line.startswith("data: {")]
    assert openai.status_code == ollama.status_code == 200
    assert '"content":"one"' in openai.text
    assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "upstream_cut"
    told = json.loads(ollama.text.splitlines()[-1])["error"]
    assert told == "upstream:a: the upstream broke off its answer; please send the request again"


async def test_an_open_circuit_is_seen_and_keeps_callers_out_where_nothing_else_is(
    server: Server, home: Path
) -> None:
    async with stand_in(refuses(500)) as there:
        put(home, there.base_url)
        assert (await got(server.url, "/health/ready")).status_code == 200
        failed = [await said(server.url, "/v1/chat/completions") for _ in range(5)]

        refused = await said(server.url, "/v1/chat/completions")

        assert {one.status_code for one in failed} == {502}
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "circuit_open"
        assert 0 < int(refused.headers["retry-after"]) <= 5
        assert len(there.asked) == 5
    state = (await got(server.url, "/api/ps")).json()["states"]["upstream:a"]
    assert (state["state"], state["circuit"]) == ("circuit_open", "open")
    assert server.metric("canteen_upstream_circuit", model="upstream:a", state="open") == 1
    calls = {"model": "upstream:a", "outcome": "upstream_failed"}
    assert server.metric("canteen_upstream_calls_total", **calls) == 5
    ready = await got(server.url, "/health/ready")
    assert ready.status_code == 503
    assert ready.json()["components"]["upstream:a"]["details"]["circuit"] == "open"


async def test_a_model_of_this_machine_keeps_it_ready(server: Server, home: Path) -> None:
    await asyncio.to_thread(pull, home, "echo")

    ready = await got(server.url, "/health/ready")

    assert ready.status_code == 200


async def test_a_budget_in_dollars_counts_what_upstreams_ask(
    echo_home: Path, tmp_path: Path
) -> None:
    book = KeyBook(connect(f"sqlite:///{echo_home / 'canteen.db'}"))
    _, secret = book.create(Wanted("a team", limits={"usd_per_day": 0.002}))
    server = serving.start(echo_home, tmp_path / "log", {"CANTEEN_MODEL": "echo"})
    headers = {"authorization": f"Bearer {secret}"}
    asked = {"model": "upstream:a", "messages": [TURN], "max_tokens": 4}
    try:
        async with (
            stand_in() as there,
            httpx.AsyncClient(timeout=30, headers=headers, trust_env=False) as client,
        ):
            put(echo_home, there.base_url, price_in=100.0, price_out=100.0)
            url = f"{server.url}/v1/chat/completions"

            answers = [await client.post(url, json=asked) for _ in range(4)]
    finally:
        serving.end(server)

    assert answers[0].status_code == 200
    assert answers[-1].status_code == 429
    assert answers[-1].headers["x-should-retry"] == "false"
