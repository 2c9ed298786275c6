"""Receipts on real sockets: what callers are told and what is booked adds up, whatever happens."""

import asyncio
import json
import os
import resource
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.chats import DIALECTS, Answer, Chat, ask, asking, until
from tests.serving import Server, set_pace

NUM_STREAMS = 32
STEPS_PER_S = 50.0
NUM_TOKENS = 40
ACCOUNTS = ("requests_uj", "train_uj", "load_uj", "idle_uj", "unattributed_uj")


@pytest.fixture
def server(echo_home: Path, serve: Callable[..., Server]) -> Server:
    set_pace(echo_home, tokens_per_s=STEPS_PER_S)
    return serve(echo_home, CANTEEN_MAX_NUM_SEQS=str(NUM_STREAMS))


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client


async def sums(client: httpx.AsyncClient, by: str) -> dict[str, Any]:
    told: dict[str, Any] = (await client.get("/v1/footprint", params={"by": by})).json()
    return told


async def num_receipts(client: httpx.AsyncClient) -> int:
    return sum(one["requests"] for one in (await sums(client, "model"))["sums"])


async def receipts_uj(client: httpx.AsyncClient) -> int:
    told = (await sums(client, "model"))["sums"]
    return sum(uj for one in told for uj in one["energy_uj"].values())


async def test_accounts_add_up_under_cancels_and_a_killed_worker(
    server: Server, client: httpx.AsyncClient
) -> None:
    answers = [Answer() for _ in range(NUM_STREAMS)]
    chats = [Chat(DIALECTS[i % 2], num_tokens=NUM_TOKENS) for i in range(NUM_STREAMS)]
    streams = [
        asyncio.ensure_future(ask(client, chat, answer))
        for chat, answer in zip(chats, answers, strict=True)
    ]
    await until(lambda: all(answer.num_tokens > 0 for answer in answers))
    for stream in streams[::4]:
        stream.cancel()
    await asyncio.sleep(5 / STEPS_PER_S)
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    await asyncio.gather(*streams, return_exceptions=True)
    whole = await ask(client, Chat(num_tokens=2))
    await until(lambda: len(server.records()) >= NUM_STREAMS + 1)

    told = await sums(client, "account")
    assert whole.status == 200
    assert sum(told[name] for name in ACCOUNTS) == told["meter_uj"]
    assert told["load_uj"] > 0
    assert told["requests_uj"] == await receipts_uj(client)
    assert await num_receipts(client) == NUM_STREAMS + 1


async def test_who_hangs_up_has_a_receipt(server: Server, client: httpx.AsyncClient) -> None:
    answer = Answer()
    async with asking(client, Chat(num_tokens=4000), answer):
        await until(lambda: answer.num_tokens > 3)
    await until(lambda: any(line["operation"] == "chat" for line in server.records()))

    receipt_id = answer.headers["x-canteen-receipt"]
    receipt = (await client.get(f"/v1/footprint/{receipt_id}")).json()
    assert receipt["tokens"]["completion"] > 3
    assert receipt["energy_uj"]["decode"] > 0
    line = next(line for line in server.records() if line["operation"] == "chat")
    assert line["receipt_id"] == receipt_id
    assert line["energy_uj"] == receipt["energy_uj"]["prefill"] + receipt["energy_uj"]["decode"]


async def test_a_deadline_ends_an_answer_and_not_its_receipt(
    server: Server, client: httpx.AsyncClient
) -> None:
    # So much time that there is a token before it is over, on a slow machine too.
    late = Chat(num_tokens=4000, is_streamed=False, headers={"x-request-timeout": "3"})
    answer = await ask(client, late)

    receipt = (await client.get(f"/v1/footprint/{answer.headers['x-canteen-receipt']}")).json()
    assert answer.status == 408
    assert receipt["energy_uj"]["decode"] > 0


async def test_sigterm_loses_no_receipt(
    echo_home: Path, serve: Callable[..., Server], server: Server, client: httpx.AsyncClient
) -> None:
    answers = [Answer() for _ in range(NUM_STREAMS)]
    streams = [
        asyncio.ensure_future(ask(client, Chat(num_tokens=NUM_TOKENS), answer))
        for answer in answers
    ]
    await until(lambda: all(answer.num_tokens > 0 for answer in answers))
    server.process.send_signal(signal.SIGTERM)
    await asyncio.gather(*streams)
    assert server.process.wait(30) == 0

    following = serve(echo_home)
    async with httpx.AsyncClient(base_url=following.url, timeout=60) as client:
        for answer in answers:
            receipt_id = answer.headers["x-canteen-receipt"]
            assert (await client.get(f"/v1/footprint/{receipt_id}")).status_code == 200
        told = await sums(client, "account")
        assert told["requests_uj"] == await receipts_uj(client)


async def test_a_killed_gateway_loses_what_is_in_flight_and_no_microjoule(
    echo_home: Path, serve: Callable[..., Server], server: Server, client: httpx.AsyncClient
) -> None:
    before = await ask(client, Chat(num_tokens=NUM_TOKENS))
    # Asking writes what there is: from here on it is in the database.
    kept = await sums(client, "account")
    answers = [Answer() for _ in range(NUM_STREAMS)]
    streams = [
        asyncio.ensure_future(ask(client, Chat(num_tokens=4000), answer)) for answer in answers
    ]
    await until(lambda: all(answer.num_tokens > 3 for answer in answers))
    in_flight = await sums(client, "account")
    server.process.kill()
    await asyncio.gather(*streams, return_exceptions=True)
    server.process.wait(30)

    following = serve(echo_home)
    async with httpx.AsyncClient(base_url=following.url, timeout=60) as client:
        await ask(client, Chat(num_tokens=2))
        told = await sums(client, "account")
        receipt_id = before.headers["x-canteen-receipt"]
        assert (await client.get(f"/v1/footprint/{receipt_id}")).status_code == 200
        assert sum(told[name] for name in ACCOUNTS) == told["meter_uj"]
        assert told["requests_uj"] == await receipts_uj(client)
        assert in_flight["requests_uj"] > kept["requests_uj"]
        assert told["unattributed_uj"] >= in_flight["requests_uj"] - kept["requests_uj"]


async def test_a_full_disk_stops_no_answer_and_no_account(
    echo_home: Path, serve: Callable[..., Server]
) -> None:
    server = serve(echo_home)
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        # To a program whose files may not grow, the disk is full; a short log still has room.
        full = (20_000, resource.RLIM_INFINITY)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, full)
        for _ in range(3):
            assert (await ask(client, Chat(num_tokens=4))).status == 200
        # Asking writes.
        await client.get("/v1/footprint")
        assert "ledger" in (await client.get("/health")).json()["components"]
        assert "canteen_ledger_trouble 1.0" in (await client.get("/metrics")).text

        free = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, free)
        told = await sums(client, "account")
        assert await num_receipts(client) == 3
        assert told["requests_uj"] == await receipts_uj(client)
        assert sum(told[name] for name in ACCOUNTS) == told["meter_uj"]
        assert "canteen_ledger_trouble 0.0" in (await client.get("/metrics")).text


async def test_the_default_model_eats_and_drinks(model_server: Server) -> None:
    body = {"model": "smollm2:135m", "prompt": "who is Oppenheimer", "stream": False}
    async with httpx.AsyncClient(base_url=model_server.url, timeout=60) as client:
        answer = await client.post("/api/generate", json=body | {"options": {"num_predict": 16}})

    told = json.loads(answer.text)["footprint"]
    figures = (told["energy_wh"], *told["water_ml"].values(), told["carbon_g"], told["cost_usd"])
    assert told["id"] == answer.headers["x-canteen-receipt"]
    assert min(told["energy_uj"]["prefill"], told["energy_uj"]["decode"]) > 0
    assert all(0 < one["low"] < one["central"] < one["high"] for one in figures)
