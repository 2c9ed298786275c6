"""A model of safetensors, pulled and served through vLLM as a user would."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from canteen.bootstrap import build
from canteen.core.processes import descendants
from canteen.core.units import exact
from canteen.engines.devices import NVIDIA
from canteen.metering.probes.counter import Unavailable
from canteen.metering.probes.nvml import Nvml
from canteen.settings import Settings
from tests import serving
from tests.conftest import pull
from tests.e2e.chats import until
from tests.e2e.test_gateway_killed import is_alive
from tests.engines import tiny_llama
from tests.serving import Server
from tests.vllm_engine import OPTIONS, linked

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

MODEL = "llama-tiny"
PATH = "/v1/chat/completions"
PLACES = 32
TRIES = 3
ADAPTERS = ("llama-fin", "llama-law")
# Loading is by far the most of it.
WITHIN_S = 900.0
ASKED = {"model": MODEL, "messages": [{"role": "user", "content": "Tell me"}], "temperature": 0}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("vllm")
    source = tiny_llama.write(folder / "llama-tiny")
    home = pull(linked(folder / "home"), "echo", "echo-embed", f"file:{source}")
    for seed, name in enumerate(ADAPTERS):
        pull_adapter(home, tiny_llama.write_adapter(folder / name, seed), name)
    options = (*OPTIONS, "enable_sleep_mode=true") if NVIDIA.exists() else OPTIONS
    environ = {
        "CANTEEN_MODEL": "echo",
        "CANTEEN_VLLM": ",".join(options),
        "CANTEEN_MAX_NUM_SEQS": str(PLACES),
    }
    server = serving.start(home, folder / "serve.log", environ)
    yield server
    serving.end(server)


def pull_adapter(home: Path, adapter: Path, name: str) -> None:
    async def pull() -> None:
        services = build(Settings.from_env({"CANTEEN_HOME": str(home)}))
        async for _ in services.pull_adapter(f"file:{adapter}", name, MODEL):
            pass
        await services.close()

    asyncio.run(pull())


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=WITHIN_S) as made:
        yield made


def test_a_streamed_chat_is_answered_with_its_receipt(client: httpx.Client) -> None:
    body = {**ASKED, "stream": True, "max_tokens": 8, "stream_options": {"include_usage": True}}
    with client.stream("POST", PATH, json=body) as answer:
        events = [
            json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")
        ]

    pieces = [event["choices"][0]["delta"].get("content") for event in events if event["choices"]]
    last = events[-1]
    # Each token of this model is a letter, or a space.
    assert len("".join(filter(None, pieces))) == last["usage"]["completion_tokens"] == 8
    assert last["footprint"]["engine"] == "vllm"
    energy_uj = last["footprint"]["energy_uj"]
    assert energy_uj["prefill"] > 0
    assert energy_uj["decode"] > 0


def test_labels_are_scored_and_schemas_kept(client: httpx.Client) -> None:
    asked = {"model": MODEL, "input": "Where is it?", "labels": ["yes", "no"], "method": "score"}
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}}
    told = {**schema, "required": ["n"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": told}}

    scored = client.post("/v1/tasks/classify", json=asked)
    formed = client.post(PATH, json={**ASKED, "response_format": form})

    assert scored.status_code == 200, scored.text
    content = json.loads(formed.json()["choices"][0]["message"]["content"])
    assert isinstance(content["n"], int)


async def test_a_model_and_its_adapters_answer_at_once_as_they_do_alone(server: Server) -> None:
    async def answer(model: str) -> tuple[str, dict[str, Any]]:
        made = await client.post(PATH, json={**body, "model": model})
        assert made.status_code == 200, made.text
        return made.json()["choices"][0]["message"]["content"], made.json()["footprint"]

    body = {**ASKED, "max_tokens": 24, "ignore_eos": True}
    names = [MODEL, *ADAPTERS]
    async with httpx.AsyncClient(base_url=server.url, timeout=WITHIN_S) as client:
        alone = [await answer(name) for name in names]
        together = await asyncio.gather(*map(answer, names * 3))
        cards = {one["name"]: one for one in (await client.get("/api/tags")).json()["models"]}
        loaded = {one["name"] for one in (await client.get("/api/ps")).json()["models"]}
        listed = {one["id"] for one in (await client.get("/v1/models")).json()["data"]}

    texts = [text for text, _ in alone]
    assert len(set(texts)) == 3
    assert [text for text, _ in together] == texts * 3
    for name, (_, receipt) in zip(names * 3, together, strict=True):
        assert receipt["model"] == f"{name}:latest"
        assert receipt["digest"].endswith(f"sha256:{cards[f'{name}:latest']['digest']}")
        assert receipt["digest"].count("sha256:") == (1 if name == MODEL else 2)
    assert listed >= {f"{name}:latest" for name in names}
    assert loaded == {"echo:latest", f"{MODEL}:latest"}
    assert len(server.worker_pids()) == len(loaded)


def test_labels_are_scored_with_an_adapter_too(client: httpx.Client) -> None:
    asked = {"input": "Where is it?", "labels": ["yes", "no"], "method": "score"}

    told = [
        client.post("/v1/tasks/classify", json={**asked, "model": name}).json()["probabilities"]
        for name in (MODEL, *ADAPTERS)
    ]

    assert len({str(probabilities) for probabilities in told}) == 3


async def test_callers_who_leave_free_all_that_they_held(server: Server) -> None:
    """What vLLM itself still holds shows in who has to wait when all places are asked for."""
    if not NVIDIA.exists():
        pytest.skip("no GPU: on processors all of an answer is told at once, whoever waited")
    body = {**ASKED, "stream": True, "ignore_eos": True}

    async def leave(client: httpx.AsyncClient) -> None:
        async with client.stream("POST", PATH, json={**body, "max_tokens": 1500}) as answer:
            assert answer.status_code == 200
            async for _ in answer.aiter_lines():
                break

    async def stay(client: httpx.AsyncClient) -> tuple[float, float]:
        """When it began and when it ended."""
        async with client.stream("POST", PATH, json={**body, "max_tokens": 100}) as answer:
            at_s = [monotonic() async for line in answer.aiter_lines() if "content" in line]
        return at_s[0], at_s[-1]

    async with httpx.AsyncClient(base_url=server.url, timeout=WITHIN_S) as client:
        await asyncio.gather(*(leave(client) for _ in range(PLACES)))
        await until(lambda: server.metric("vllm:num_requests_running") == 0)
        # On a busy machine an answer may be told late; a place that is held is held each time.
        times_s = [
            await asyncio.gather(*(stay(client) for _ in range(PLACES))) for _ in range(TRIES)
        ]

    assert any(
        max(began_s for began_s, _ in one) < min(ended_s for _, ended_s in one) for one in times_s
    )


@pytest.mark.gpu
def test_the_meter_counts_what_the_boards_do(client: httpx.Client) -> None:
    try:
        counter = Nvml(exact(1.0, "J/J"))
    except Unavailable as exc:
        pytest.skip(f"no GPU: {exc}")
    client.post(PATH, json={**ASKED, "max_tokens": 8})
    counted_uj, booked_uj = counter.read_uj(), accounts(client)["meter_uj"]

    client.post(PATH, json={**ASKED, "max_tokens": 1500, "ignore_eos": True})

    told = accounts(client)
    assert sum(told.values()) == 2 * told["meter_uj"]
    assert told["meter_uj"] - booked_uj == pytest.approx(counter.read_uj() - counted_uj, rel=0.2)


@pytest.mark.gpu
def test_a_model_that_sleeps_frees_its_device_and_wakes_as_it_was(client: httpx.Client) -> None:
    if not NVIDIA.exists():
        pytest.skip("no GPU: only on CUDA can vLLM free what a model holds, and fill it again")
    body = {**ASKED, "stream": False, "options": {"temperature": 0, "num_predict": 8}}
    before = client.post("/api/chat", json={**body, "keep_alive": 1}).json()["message"]
    awake_mb = used_mb()

    asyncio.run(until(lambda: state(client)["state"] == "asleep"))
    asleep_mb = used_mb()

    assert client.post("/api/chat", json=body).json()["message"] == before
    assert state(client)["last_event"]["what"] == "woken"
    assert asleep_mb < awake_mb


async def test_a_killed_gateway_leaves_nothing_of_vllm(server: Server) -> None:
    """The last one: it ends the server."""
    processes = [pid for worker in server.worker_pids() for pid in (worker, *descendants(worker))]

    server.stop(signal.SIGKILL)

    assert len(processes) > 3
    await until(lambda: not any(is_alive(pid) for pid in processes))


def accounts(client: httpx.Client) -> dict[str, int]:
    told = client.get("/v1/footprint", params={"by": "account"}).json()
    return {name: value for name, value in told.items() if name.endswith("_uj")}


def state(client: httpx.Client) -> dict[str, Any]:
    told: dict[str, Any] = client.get("/api/ps").json()["states"][f"{MODEL}:latest"]
    return told


def used_mb() -> int:
    """Of the memory of the first board."""
    asked = ("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits")
    said = subprocess.run(asked, capture_output=True, check=True, text=True)
    return int(said.stdout.split()[0])
