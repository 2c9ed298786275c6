"""Keys are made, shown, rotated and revoked over HTTP, and refused what they may not have."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.keyed import CHAT, Keyed, keyed

WANTED = {
    "name": "orders",
    "scopes": ["llm:chat"],
    "models": ["echo"],
    "limits": {"tokens_per_day": 1000, "concurrency": 4},
    "expires_in_s": 3600,
}


@pytest.fixture
async def service(echo_home: Path) -> AsyncIterator[Keyed]:
    async with keyed(echo_home) as made:
        yield made


async def asked(service: Keyed, secret: str, **more: Any) -> httpx.Response:
    async with service.client(authorization=f"Bearer {secret}") as caller:
        return await caller.post("/v1/chat/completions", json={**CHAT, **more})


async def limited(service: Keyed, **limits: float) -> str:
    _, secret = await service.key("llm:chat", limits=limits)
    return secret


async def test_the_life_of_a_key(service: Keyed) -> None:
    async with await service.shown("llm:admin") as admin:
        made = await admin.post("/v1/keys", json=WANTED)
        key_id, first = made.json()["id"], made.json()["key"]
        answered = await asked(service, first, max_tokens=2)
        shown = (await admin.get(f"/v1/keys/{key_id}")).json()
        rotated = await admin.post(f"/v1/keys/{key_id}/rotate", json={"overlap_s": 0})
        second = rotated.json()["key"]
        old, new = await asked(service, first), await asked(service, second)
        revoked = await admin.delete(f"/v1/keys/{key_id}")
        gone = await asked(service, second)
        listed = (await admin.get("/v1/keys")).json()["keys"]

    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    assert answered.status_code == 200
    assert shown["models"] == ["echo:latest"]
    assert shown["spent"]["tokens_per_day"]["used"] == 5
    assert "key" not in shown
    assert (old.status_code, new.status_code, gone.status_code) == (401, 200, 401)
    assert revoked.json()["revoked_s"]
    listed_spent = {one["id"]: one["spent"] for one in listed}[key_id]
    assert listed_spent["tokens_per_day"]["most"] == 1000


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"scopes": ["all"]}, "scopes"),
        ({"limits": {"tokens": 1}}, "limits"),
        ({"name": ""}, "name"),
        ({"models": ["a b"]}, "model"),
    ],
)
async def test_odd_wishes_are_refused(
    service: Keyed, change: dict[str, object], param: str
) -> None:
    async with await service.shown("llm:admin") as admin:
        answer = await admin.post("/v1/keys", json=WANTED | change)

    assert (answer.status_code, answer.json()["param"]) == (400, param)


async def test_a_key_that_nobody_made_is_404(service: Keyed) -> None:
    async with await service.shown("llm:admin") as admin:
        for answer in (await admin.get("/v1/keys/x"), await admin.delete("/v1/keys/x")):
            assert answer.status_code == 404
            assert answer.json()["code"] == "key_not_found"


async def test_an_answer_says_how_its_key_stands(service: Keyed) -> None:
    secret = await limited(service, requests_per_minute=1000, tokens_per_day=1000)

    answer = await asked(service, secret, max_tokens=10)

    headers = answer.headers
    assert headers["x-ratelimit-limit-requests"] == "1000"
    assert headers["x-ratelimit-remaining-requests"] == "999"
    assert headers["x-ratelimit-reset-requests"].endswith("s")
    assert headers["x-ratelimit-limit-tokens"] == "1000"
    # What it may take was held, and is told until it is known what it took.
    assert headers["x-ratelimit-remaining-tokens"] == str(1000 - (64 + 16 + 13 + 10))


async def test_more_than_a_key_ever_may_is_refused_for_good(service: Keyed) -> None:
    secret = await limited(service, tokens_per_day=200)

    answer = await asked(service, secret, max_tokens=500)

    assert answer.status_code == 429
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"]["code"] == "insufficient_quota"
    assert "may take 593 tokens" in answer.json()["error"]["message"]


async def test_a_minute_that_is_full_is_worth_waiting_for(service: Keyed) -> None:
    secret = await limited(service, requests_per_day=1000, requests_per_minute=1)

    # At least two of three are in one minute.
    answers = [await asked(service, secret, max_tokens=1) for _ in range(3)]

    refused = [one for one in answers if one.status_code == 429]
    assert refused
    assert "x-should-retry" not in refused[-1].headers
    assert 1 <= int(refused[-1].headers["retry-after"]) <= 60
    assert refused[-1].json()["error"]["code"] == "rate_limit_exceeded"


async def test_an_answer_without_a_limit_ends_where_the_budget_does(service: Keyed) -> None:
    secret = await limited(service, tokens_per_day=130)

    long = " ".join(["w"] * 20)
    answer = await asked(service, secret, messages=[{"role": "user", "content": long}])

    assert answer.json()["choices"][0]["finish_reason"] == "length"
    assert answer.json()["usage"]["completion_tokens"] == 130 - (64 + 16 + len(long))


@pytest.mark.parametrize("unit", ["wh", "ml", "usd"])
async def test_a_physical_budget_is_booked_from_the_receipt(service: Keyed, unit: str) -> None:
    key, secret = await service.key("llm:chat", limits={f"{unit}_per_month": 1000})

    answer = await asked(service, secret, max_tokens=3)

    told = answer.json()["footprint"]
    water = told["water_ml"]
    expected = {
        "wh": told["energy_wh"]["central"],
        "ml": water["site"]["central"] + water["source"]["central"],
        "usd": told["cost_usd"]["central"],
    }
    spent = service.services.keys.book.spent(key)[f"{unit}_per_month"]
    assert spent["used"] == pytest.approx(expected[unit], abs=2e-9)
    assert spent["held"] == 0


async def test_a_physical_budget_that_is_spent_refuses(service: Keyed) -> None:
    secret = await limited(service, wh_per_day=1e-9)

    answers = [await asked(service, secret, max_tokens=3) for _ in range(2)]

    assert [one.status_code for one in answers] == [200, 429]
    assert "wh_per_day" in answers[1].json()["error"]["message"]
    assert answers[1].headers["x-should-retry"] == "false"


async def test_tasks_and_embeddings_are_booked_too(service: Keyed) -> None:
    key, secret = await service.key(
        "llm:embed", "llm:tasks", limits={"tokens_per_day": 100_000, "concurrency": 1}
    )

    async with service.client(authorization=f"Bearer {secret}") as caller:
        body = {"model": "echo-embed", "input": ["a b", "c"]}
        embedded = (await caller.post("/v1/embeddings", json=body)).json()["usage"]
        body = {"inputs": ["one", "two", "three"], "labels": ["a", "b"]}
        classified = (await caller.post("/v1/tasks/classify", json=body)).json()["usage"]

    used = service.services.keys.book.spent(key)["tokens_per_day"]["used"]
    assert used == embedded["total_tokens"] + classified["total_tokens"]
