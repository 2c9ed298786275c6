import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from canteen.api.app import App, create_app
from canteen.api.dialects import DIALECTS
from canteen.bootstrap import Services, build
from canteen.settings import Settings

CHAT = {"model": "echo", "messages": [{"role": "user", "content": "canary in the mine"}]}
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def services(echo_home: Path) -> AsyncIterator[Services]:
    built = build(Settings(home=echo_home, default_model="echo", max_body_bytes=10_000))
    yield built
    await built.close()


@pytest.fixture
def lines() -> list[bytes]:
    return []


@pytest.fixture
def app(services: Services, lines: list[bytes]) -> App:
    return create_app(services, lines.append)


@pytest.fixture
async def asked(app: App) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


def logged(lines: list[bytes]) -> Any:
    assert len(lines) == 1
    assert lines[0].endswith(b"\n")
    return json.loads(lines[0])


@pytest.mark.parametrize(
    ("path", "body", "ignored"),
    [
        ("/v1/chat/completions", CHAT, None),
        ("/v1/chat/completions", CHAT | {"max_token": 5, "Bé\r\n": 1, "x": None}, "max_token"),
        ("/v1/tasks/count", {"input": "a", "model": "echo", "lables": ["b"]}, "lables"),
        ("/v1/tasks/classify", {"input": "a", "model": "echo", "lables": ["b"]}, "lables"),
        ("/api/show", {"name": "echo"}, None),
        ("/api/show", {"name": "echo", "model": ""}, None),
        ("/v1/messages", CHAT | {"max_tokens": 5, "stop_sequences": ["b"]}, None),
    ],
)
async def test_keys_that_nobody_looks_at_are_told(
    asked: httpx.AsyncClient, path: str, body: dict[str, Any], ignored: str | None
) -> None:
    answer = await asked.post(path, json=body)

    assert answer.headers.get("x-canteen-ignored") == ignored


async def test_the_log_tells_everything_but_the_text(
    asked: httpx.AsyncClient, lines: list[bytes]
) -> None:
    answer = await asked.post(
        "/v1/chat/completions",
        json=CHAT,
        headers={
            "traceparent": TRACEPARENT,
            "user-agent": "me",
            "x-stainless-retry-count": "2",
            "authorization": "Bearer secret",
        },
    )

    line = logged(lines)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert line["caller"].startswith("key-")
    assert (line["model"], line["route"], line["status"]) == ("echo", "/v1/chat/completions", 200)
    assert (line["prompt_tokens"], line["completion_tokens"]) == (4, 4)
    assert (line["finish_reason"], line["user_agent"], line["retry_count"]) == ("stop", "me", 2)
    assert line["ttft_ms"] > 0
    assert line["duration_ms"] >= line["ttft_ms"]
    assert b"canary" not in lines[0]
    assert b"secret" not in lines[0]


async def test_a_caller_without_a_key_is_its_address(
    asked: httpx.AsyncClient, lines: list[bytes]
) -> None:
    await asked.get("/v1/models")

    assert logged(lines)["caller"] == "192.0.2.7"


async def test_a_request_id_returns_unchanged(asked: httpx.AsyncClient) -> None:
    answer = await asked.get("/health/live", headers={"x-request-id": "my id 7"})

    assert answer.headers["x-request-id"] == "my id 7"


@pytest.mark.parametrize("bad", ["", "x" * 129, "é"])
async def test_an_odd_request_id_is_replaced(asked: httpx.AsyncClient, bad: str) -> None:
    answer = await asked.get("/health/live", headers={b"x-request-id": bad.encode("latin-1")})

    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/v1/nowhere", {"error"}),
        ("/api/nowhere", {"error"}),
        ("/nowhere", {"type", "title", "status", "detail", "code"}),
        ("/v1/plan/nowhere", {"type", "title", "status", "detail", "code"}),
    ],
)
async def test_an_unknown_route_is_404_in_its_dialects_shape(
    asked: httpx.AsyncClient, path: str, keys: set[str]
) -> None:
    answer = await asked.post(path, json={})

    assert answer.status_code == 404
    assert set(answer.json()) == keys
    assert isinstance(answer.json().get("error"), str) == path.startswith("/api")


async def test_a_doubled_v1_is_explained(asked: httpx.AsyncClient) -> None:
    answer = await asked.post("/v1/v1/chat/completions", json=CHAT)

    assert answer.status_code == 404
    assert "/v1 twice" in answer.json()["error"]["message"]


async def test_a_wrong_method_is_405_and_the_right_ones_are_named(
    asked: httpx.AsyncClient,
) -> None:
    answer = await asked.delete("/v1/models")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/chat/completions/"])
async def test_openai_answers_at_the_root_and_with_a_trailing_slash(
    asked: httpx.AsyncClient, path: str
) -> None:
    answer = await asked.post(path, content=json.dumps(CHAT))

    assert answer.json()["choices"][0]["message"]["content"] == "canary in the mine"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat", "/v1/embeddings"])
@pytest.mark.parametrize("raw", [b"{", b"\xff", b"[]", b'{"model":7}', b'{"n":NaN}'])
async def test_bad_bodies_are_400_in_the_dialects_shape(
    asked: httpx.AsyncClient, path: str, raw: bytes
) -> None:
    answer = await asked.post(path, content=raw)

    assert answer.status_code == 400
    assert isinstance(answer.json()["error"], str) == path.startswith("/api")
    assert "Traceback" not in answer.text


async def test_a_body_that_is_too_large_is_413(asked: httpx.AsyncClient) -> None:
    answer = await asked.post("/v1/chat/completions", content=b" " * 20_000)

    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


async def test_health_goes_from_cold_to_warm_to_draining(
    asked: httpx.AsyncClient, services: Services
) -> None:
    async def statuses() -> list[int]:
        names = ("startup", "live", "ready")
        return [(await asked.get(f"/health/{name}")).status_code for name in names]

    assert await statuses() == [503, 200, 503]
    await services.warm_up()
    assert await statuses() == [200, 200, 200]
    services.is_draining = True
    assert await statuses() == [200, 200, 503]


@pytest.mark.parametrize("path", ["/health", "/healthz", "/ping", "/", "/api/version"])
async def test_what_tools_probe_is_answered_to_get_and_head(
    asked: httpx.AsyncClient, services: Services, path: str
) -> None:
    await services.warm_up()

    assert (await asked.get(path)).status_code == 200
    assert (await asked.head(path)).status_code == 200


async def test_ready_names_the_models_in_memory(
    asked: httpx.AsyncClient, services: Services
) -> None:
    await services.warm_up()

    components = (await asked.get("/health/ready")).json()["components"]

    assert components["echo:latest"]["status"] == "UP"
    assert components["service"]["status"] == "UP"


async def test_what_is_left_to_a_deadline_counts_where_the_caller_set_one(
    asked: httpx.AsyncClient,
) -> None:
    await asked.post("/v1/chat/completions", json=CHAT)
    await asked.post("/v1/chat/completions", json=CHAT, headers={"x-request-timeout": "60"})

    text = (await asked.get("/metrics")).text
    assert "llm_deadline_slack_seconds_count 1.0" in text


async def test_metrics_count_tokens_under_vllms_names(asked: httpx.AsyncClient) -> None:
    await asked.post("/v1/chat/completions", json=CHAT)

    answer = await asked.get("/metrics")

    series = 'vllm:generation_tokens_total{engine="0",model_name="echo:latest"} 4.0'
    assert series in answer.text.splitlines()
    assert answer.headers["content-type"].startswith("text/plain")
    assert "canary" not in answer.text


async def test_callers_cannot_invent_series(asked: httpx.AsyncClient) -> None:
    await asked.post("/v1/chat/completions", json={**CHAT, "model": "invented"})

    text = (await asked.get("/metrics")).text

    assert "invented" not in text
    assert 'error_type="model_not_found"' in text


async def test_the_document_describes_every_route_once(asked: httpx.AsyncClient, app: App) -> None:
    document = (await asked.get("/openapi.json")).json()

    described = {path: set(operations) for path, operations in document["paths"].items()}
    for dialect in DIALECTS:
        for route in dialect.routes:
            path = re.sub(r":\w+}", "}", dialect.prefixes[0] + route.path)
            assert route.method.lower() in described[path]
    ids = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(ids) == len(set(ids))


async def test_every_reference_of_the_document_resolves(asked: httpx.AsyncClient) -> None:
    document = (await asked.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.extend(text for key, text in value.items() if key == "$ref")
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(document)

    assert found
    assert {name.rpartition("/")[2] for name in found} <= set(schemas)


async def test_a_fault_of_ours_tells_only_its_request_id(
    services: Services, lines: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        settings, catalog, metrics = services.settings, services.catalog, services.metrics
        version, till, ledger = services.version, services.till, services.ledger
        keys, limiter, deferred = services.keys, services.limiter, services.deferred

        async def loaded(self) -> None:
            raise KeyError("/secret/path")

    broken: Any = Broken()
    transport = httpx.ASGITransport(create_app(broken, lines.append))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as asked:
        answer = await asked.get("/metrics")

    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] in answer.json()["detail"]
    assert "/secret/path" in caplog.text


async def test_requests_at_once_do_not_mix_their_records(
    asked: httpx.AsyncClient, lines: list[bytes]
) -> None:
    async def ask(number: int) -> None:
        body = {**CHAT, "messages": [{"role": "user", "content": " ".join(["word"] * number)}]}
        headers = {"x-request-id": str(number)}
        await asked.post("/v1/chat/completions", json=body, headers=headers)

    await asyncio.gather(*(ask(number) for number in range(1, 9)))

    records = [json.loads(line) for line in lines]
    assert {int(one["request_id"]): one["prompt_tokens"] for one in records} == {
        number: number for number in range(1, 9)
    }
