"""Receipts over HTTP: with their derivation, and summed."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.conftest import Serve
from tests.serving import Server


def ask(server: Server, path: str) -> httpx.Response:
    return httpx.get(server.url + path, trust_env=False)


def test_a_receipt_is_given_again_with_its_derivation(echo_server: Server) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}
    url = f"{echo_server.url}/v1/chat/completions"
    answer = httpx.post(url, json=body, trust_env=False)

    told = ask(echo_server, f"/v1/footprint/{answer.headers['x-canteen-receipt']}").json()

    assert told["energy_uj"] == answer.json()["footprint"]["energy_uj"]
    assert all(one["source"] and one["as_of"] for one in told["derivation"]["inputs"])


def test_the_accounts_add_up_to_the_meter(echo_server: Server) -> None:
    told = ask(echo_server, "/v1/footprint?by=account").json()

    names = ("requests_uj", "train_uj", "load_uj", "idle_uj", "unattributed_uj")
    assert sum(told[name] for name in names) == told["meter_uj"]


def test_a_phase_has_the_meters_count_and_what_that_means(echo_server: Server) -> None:
    phases = ask(echo_server, "/v1/footprint?by=phase").json()["sums"]

    assert [one["phase"] for one in phases][:2] == ["prefill", "decode"]
    for one in phases:
        energy = one["energy_wh"]
        assert energy["low"] <= energy["central"] <= energy["high"]
        assert one["energy_uj"] / 3.6e9 <= energy["central"] + 1e-12


def test_a_phase_costs_its_electricity(echo_server: Server) -> None:
    phases = ask(echo_server, "/v1/footprint?by=phase").json()["sums"]

    assert all((one["cost_usd"]["central"] > 0) == (one["energy_uj"] > 0) for one in phases)


def test_by_the_hour_a_phase_costs_what_its_time_does_where_that_is_known(
    serve: Serve, echo_home: Path
) -> None:
    server = serve(echo_home, CANTEEN_PRICE_USD_PER_H="3.6")
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}
    httpx.post(f"{server.url}/v1/chat/completions", json=body, trust_env=False)

    phases = ask(server, "/v1/footprint?by=phase").json()["sums"]

    costs = {one["phase"]: one.pop("cost_usd") for one in phases}
    times_us = {one["phase"]: one["device_us"] for one in phases}
    assert times_us["prefill"] > 0
    for phase in ("prefill", "decode"):
        assert costs[phase]["central"] == pytest.approx(times_us[phase] * 1e-9)
    assert {costs[name] for name in ("train", "load", "idle", "unattributed")} == {None}


def test_the_latest_receipts_are_listed_a_page_at_a_time(echo_server: Server) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}
    url = f"{echo_server.url}/v1/chat/completions"
    answers = [httpx.post(url, json=body, trust_env=False) for _ in range(2)]

    first = ask(echo_server, "/v1/receipts?limit=1").json()
    second = ask(echo_server, f"/v1/receipts?limit=1&after={first['next']}").json()

    listed = [page["receipts"][0] for page in (first, second)]
    assert {one["id"] for one in listed} == {one.headers["x-canteen-receipt"] for one in answers}
    by_id = {one.headers["x-canteen-receipt"]: one.json()["footprint"] for one in answers}
    for one in listed:
        assert one["energy_wh"] == by_id[one["id"]]["energy_wh"]
        assert one["operation"] == "chat"


async def test_what_an_hour_of_idling_costs_is_told_once_it_was_seen(echo_server: Server) -> None:
    told = ask(echo_server, "/v1/footprint/idle").json()
    while told["power_w"] is None:
        await asyncio.sleep(0.2)
        told = ask(echo_server, "/v1/footprint/idle").json()

    energy = told["energy_wh"]
    assert energy["low"] <= energy["central"] <= energy["high"]
    # The facility takes no less than the meter counts.
    assert energy["central"] >= told["power_w"]
    assert told["meter"]["source"]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/v1/receipts?limit=0", 400, "limit is a whole number from 1 to 1000"),
        ("/v1/receipts?after=rcpt_0", 400, "no receipt 'rcpt_0' to go on after"),
        ("/v1/receipts?colour=red", 400, "is none of limit, after"),
        ("/v1/footprint/rcpt_0", 404, "no receipt"),
        ("/v1/footprint?by=modle", 400, "did you mean 'model'"),
        ("/v1/footprint?since=yesterday", 400, "`since` is a date like"),
        ("/v1/footprint?group=model", 400, "is none of by, since, until"),
    ],
)
def test_what_makes_no_sense_is_a_clear_problem(
    echo_server: Server, path: str, status: int, says: str
) -> None:
    answer = ask(echo_server, path)

    assert answer.status_code == status
    assert says in answer.json()["detail"]
