"""Receipts over HTTP: with their derivation, and summed."""

import httpx
import pytest

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


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
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
