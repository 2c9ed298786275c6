"""What a router reads off /metrics before there has been anything to count."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from canteen.api.app import create_app
from canteen.bootstrap import build
from canteen.settings import Settings

# What Kubernetes' inference gateways look for in a server that speaks vLLM's names.
LOOKED_FOR = ("num_requests_waiting", "num_requests_running", "kv_cache_usage_perc")


@pytest.fixture
async def client(echo_home: Path) -> AsyncIterator[httpx.AsyncClient]:
    services = build(Settings(home=echo_home, default_model="echo"))
    transport = httpx.ASGITransport(create_app(services, lambda line: None))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as made:
        yield made
    await services.close()


async def test_the_queue_of_the_default_model_is_told_though_it_is_not_in_memory(
    client: httpx.AsyncClient,
) -> None:
    before = (await client.get("/metrics")).text.splitlines()
    answer = await client.post("/api/generate", json={"model": "echo", "prompt": "one"})
    after = (await client.get("/metrics")).text.splitlines()

    assert answer.status_code == 200
    for name in LOOKED_FOR:
        told = f'vllm:{name}{{engine="0",model_name="echo:latest"}} 0.0'
        assert before.count(told) == after.count(told) == 1
