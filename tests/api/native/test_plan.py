"""Plans over HTTP: the answers of the shell, and problems that name the field."""

import json
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from canteen.api.native.plan import PlanRequest
from canteen.cli.main import main
from tests.planning.shapes import LLAMA_3_8B
from tests.serving import Server


def ask(server: Server, **body: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/plan", json=body, trust_env=False)


def test_the_answer_is_that_of_the_shell(echo_server: Server) -> None:
    words = ["plan", "llama3.1:8b", "--instance", "p5.48xlarge", "--sequences", "4", "--json"]
    shown = json.loads(CliRunner().invoke(main, words).stdout)

    told = ask(echo_server, model="llama3.1:8b", instance="p5.48xlarge", num_sequences=4)

    assert told.status_code == 200
    assert told.json() == shown


def test_a_config_may_be_sent(echo_server: Server) -> None:
    told = ask(echo_server, config=LLAMA_3_8B, num_devices=8.0, device="H100").json()

    assert told["parameters"] == 8_030_261_248
    assert told["num_devices"] == 8


def test_every_field_is_described() -> None:
    properties = PlanRequest.model_json_schema()["properties"]

    assert all(one["description"].endswith(".") for one in properties.values())
    assert properties["utilization"]["maximum"] == 1


def test_a_model_of_any_size_is_answered_or_refused(echo_server: Server) -> None:
    for size in (10**9, 10**15, 2**62):
        config = LLAMA_3_8B | {"hidden_size": size, "intermediate_size": size}
        assert ask(echo_server, config=config).status_code in (200, 400)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "give a model"),
        ({"model": "lama3.1:8b"}, "near it: llama3.1:8b"),
        ({"model": "7B", "config": LLAMA_3_8B}, "not both"),
        ({"model": "/etc/passwd"}, "no model"),
        ({"model": "config.json"}, "no model"),
        ({"model": "7B", "instance": "p5.48"}, "near it: p5.48xlarge"),
        ({"model": "7B", "num_sequences": -1}, "num_sequences must be from 1"),
        ({"model": "7B", "num_sequences": "many"}, "num_sequences"),
        ({"model": "7B", "finetune": "half"}, "finetune"),
        ({"model": "7B", "context_length": 10**7}, "131,072 tokens"),
        ({"config": {"model_type": "llama"}}, "config"),
        ({"config": LLAMA_3_8B | {"num_attention_heads": 0}}, "no such model can be"),
        ({"config": LLAMA_3_8B | {"hidden_size": "big"}}, "hidden_size"),
    ],
)
def test_what_cannot_be_planned_is_a_problem_that_says_why(
    echo_server: Server, body: dict[str, Any], says: str
) -> None:
    answer = ask(echo_server, **body)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


def test_what_can_be_planned_with_is_told(echo_server: Server) -> None:
    told = httpx.get(f"{echo_server.url}/v1/plan", trust_env=False).json()

    models = {one["name"]: one for one in told["models"]}
    machines = {one["name"]: one for one in told["instances"]}
    assert models["llama3.1:8b"]["parameters"] == 8_030_261_248
    assert not models["llama3.1:8b"]["is_stored"]
    assert machines["p5.48xlarge"]["num_devices"] == 8
    assert machines["p5.48xlarge"]["prices"][0] == {
        "region": "us-east-1",
        "usd_per_h": 98.32,
        "valid_from": "2023-07-26",
        "valid_to": "2025-05-31",
    }
    assert {"name": "us-east-1", "provider": "aws", "country": "USA"} in told["regions"]
    assert "Q4_K_M" in told["quantizations"]


def test_a_load_on_one_machine_is_told(echo_server: Server) -> None:
    asked = {"model": "llama3.1:8b", "instance": "g6.xlarge", "quantization": "Q4_K_M"}

    load = ask(echo_server, **asked, requests_per_s=1).json()["load"]
    most = ask(echo_server, **asked, requests_per_s=100).json()["load"]

    assert 0 < load["utilization"]["central"] < 1
    assert 0 < load["ttft_s"]["p50"] <= load["ttft_s"]["p95"] < load["e2e_s"]["p95"]
    assert most["utilization"]["low"] > 1
    assert (most["ttft_s"], most["e2e_s"]) == (None, None)


def test_the_articles_numbers_are_those_of_the_shell(echo_server: Server) -> None:
    words = ["plan", "--article", "--json", "--as-of", "2023-10-15"]
    shown = json.loads(CliRunner().invoke(main, words).stdout)

    url = f"{echo_server.url}/v1/plan/article"
    told = httpx.get(url, params={"as_of": "2023-10-15"}, trust_env=False)
    future = httpx.get(url, params={"as_of": "2999-01-01"}, trust_env=False)

    assert told.json() == shown
    assert future.status_code == 400
    assert "as_of" in future.text
