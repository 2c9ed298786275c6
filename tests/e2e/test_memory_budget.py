"""Two models that do not fit together share one server without swapping at every request."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from canteen.runtime.catalog import Catalog
from tests.serving import Server

NUM_REQUESTS = 20
# The highest that was ever measured counts, and so each of these takes more than half.
MEASURED = {"memory_bytes": 600_000_000, "load_s": 0.0}
BUDGET_GB = "1"


def remember(home: Path, **figures: object) -> None:
    """Leave in a home what was measured of its models before."""
    made = {f"echo {name}:latest": figure for name, figure in figures.items()}
    (home / "measured.json").write_text(json.dumps(made))


@pytest.fixture
def home(echo_home: Path) -> Path:
    Catalog(echo_home).copy("echo", "parrot")
    remember(echo_home, echo=MEASURED, parrot=MEASURED)
    return echo_home


@pytest.fixture
def server(serve: Callable[..., Server], home: Path) -> Server:
    return serve(home, CANTEEN_MEMORY_GB=BUDGET_GB)


async def ask(
    client: httpx.AsyncClient, model: str, num_ctx: int = 2048, timeout_s: float = 60
) -> httpx.Response:
    body = {"model": model, "prompt": "hello", "options": {"num_ctx": num_ctx}, "stream": False}
    headers = {"x-request-timeout": str(timeout_s)}
    return await client.post("/api/generate", json=body, headers=headers)


async def num_loads(client: httpx.AsyncClient, model: str) -> int:
    """How often a model was loaded, for any reason."""
    lines = (await client.get("/metrics")).text.splitlines()
    start = f'llm_model_loads_total{{model="{model}:latest"'
    return int(sum(float(line.split()[-1]) for line in lines if line.startswith(start)))


async def test_alternating_models_are_loaded_far_less_often_than_asked(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        models = ["echo", "parrot"] * NUM_REQUESTS
        answers = await asyncio.gather(*(ask(client, model) for model in models))
        states = (await client.get("/api/ps")).json()["states"]
        loads = [await num_loads(client, model) for model in ("echo", "parrot")]

    assert [answer.status_code for answer in answers] == [200] * len(models)
    assert max(loads) <= 2
    evicted = next(state for state in states.values() if state["state"] == "unloaded")
    assert evicted["why"].startswith("evicted: to make room for ")


async def test_alternating_context_sizes_load_nothing(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        for num_ctx in (2048, 512, 4096, 2048):
            assert (await ask(client, "echo", num_ctx)).status_code == 200

        assert await num_loads(client, "echo") == 1


async def test_a_cold_model_is_refused_at_once_with_the_time_it_takes_to_load(
    serve: Callable[..., Server], home: Path
) -> None:
    remember(home, parrot={**MEASURED, "load_s": 500.0})
    server = serve(home)
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        refusal = await ask(client, "parrot", timeout_s=20)

    assert refusal.status_code == 503
    assert 480 < int(refusal.headers["retry-after"]) <= 500


async def test_a_model_that_cannot_fit_is_refused_with_the_numbers(
    serve: Callable[..., Server], home: Path
) -> None:
    remember(home, parrot={**MEASURED, "memory_bytes": 1_200_000_000})
    server = serve(home, CANTEEN_MEMORY_GB=BUDGET_GB)
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        body = {"model": "parrot", "messages": [{"role": "user", "content": "hello"}]}
        refusal = await client.post("/v1/chat/completions", json=body)

    assert refusal.status_code == 400
    assert refusal.json()["error"]["code"] == "not_enough_memory"
    assert "needs 1200 MB" in refusal.json()["error"]["message"]
