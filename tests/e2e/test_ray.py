"""A Canteen over two Ray nodes under load, of which one dies and comes back."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.conftest import Serve
from tests.ray_nodes import RayNodes
from tests.serving import set_pace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
PLACES = 4
# A second to read, and three to write.
ASKED = {"model": "echo", "prompt": " ".join(["word"] * 20), "options": {"num_predict": 60}}
PACE = {"tokens_per_s": 20.0, "prefill_tokens_per_s": 20.0}


@dataclass
class Outcome:
    """What became of a request."""

    is_begun: bool = False
    num_tokens: int = 0
    error: str = ""
    footprint: dict[str, object] = field(default_factory=dict)


async def ask(client: httpx.AsyncClient, after_s: float = 0.0) -> Outcome:
    await asyncio.sleep(after_s)
    outcome = Outcome()
    async with client.stream("POST", "/api/generate", json=ASKED) as answer:
        async for line in answer.aiter_lines():
            told = json.loads(line)
            outcome.error = told.get("error", "")
            outcome.is_begun |= bool(told.get("response"))
            outcome.num_tokens = told.get("eval_count", 0)
            outcome.footprint = told.get("footprint", {})
    return outcome


async def test_a_dying_node_takes_with_it_only_what_it_had_begun(
    echo_home: Path, serve: Serve
) -> None:
    set_pace(echo_home, **PACE)
    with RayNodes() as nodes:
        server = serve(
            echo_home,
            CANTEEN_RAY=nodes.address,
            CANTEEN_MAX_NUM_SEQS=str(PLACES),
            CANTEEN_RAY_MIN_REPLICAS="2",
            CANTEEN_RAY_MAX_REPLICAS="2",
        )
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
            # Loaded once both replicas are there.
            await ask(client)
            load = [asyncio.ensure_future(ask(client, number / 4)) for number in range(32)]
            await asyncio.sleep(5)
            await asyncio.to_thread(nodes.do, "kill two")
            outcomes = await asyncio.gather(*load)
            await asyncio.to_thread(nodes.do, "add two")
            afterwards = await _until_two_nodes_answer(client)

        lost = [one for one in outcomes if one.error]
        answered = [one for one in outcomes if not one.error]
        assert {one.num_tokens for one in answered} == {60}
        assert {one.footprint["node"] for one in answered} == {"one", "two"}
        assert 1 <= len(lost) <= PLACES
        assert all(one.is_begun for one in lost)
        assert all("please send the request again" in one.error for one in lost)
        assert afterwards == {"one", "two"}


async def _until_two_nodes_answer(client: httpx.AsyncClient) -> set[object]:
    """The nodes that answer now; the second may take a while to start its replica."""
    seen: set[object] = set()
    for _ in range(10):
        outcomes = await asyncio.gather(*(ask(client) for _ in range(PLACES)))
        seen |= {one.footprint.get("node") for one in outcomes}
        if len(seen) == 2:
            break
    return seen
