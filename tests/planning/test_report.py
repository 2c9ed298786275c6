"""A plan as JSON: the same names at every door, bounds where it is uncertain."""

import json
from typing import Any

import pytest

from canteen.planning import article, report
from tests.planning.plans import TODAY, planned


def told(model: str, **asked: Any) -> dict[str, Any]:
    return report.as_json(planned(model, **asked))


def test_serving_is_told_by_names_with_their_units() -> None:
    body = told("llama3.1:8b", instance="p5.48xlarge", num_sequences=4)

    assert body["weights_bytes"] == 16_060_522_496
    assert body["kv_bytes_per_token"] == 131_072
    assert body["kv_total_bytes"] == 4 * 4096 * 131_072
    assert body["total_bytes"] > body["weights_bytes"] + body["kv_total_bytes"]
    assert body["fits"] == "yes"
    assert body["max_sequences"] > 100
    for name in ("decode_tokens_per_s", "cost_usd_per_mtok", "energy_wh_per_request"):
        assert 0 < body[name]["low"] <= body[name]["central"] <= body[name]["high"]


def test_training_is_told_by_names_with_their_units() -> None:
    body = told("gpt-3", instance="p5.48xlarge", train_tokens=300 * 10**9)

    names = ("gpu_hours", "gpu_years", "energy_mwh", "water_site_l", "water_source_l", "carbon_t")
    for name in names:
        assert 0 < body[name]["low"] < body[name]["central"] < body[name]["high"]
    assert body["gpu_hours"]["central"] == pytest.approx(body["gpu_years"]["central"] * 8766)


def test_boundaries_are_told_beside_the_figures() -> None:
    body = told("llama3.1:8b", instance="p5.48xlarge")

    assert body["water_site_ml_per_request"]["boundary"] == "site active"
    assert body["water_source_ml_per_request"]["boundary"] == "source active"
    assert body["energy_wh_per_request"]["boundary"] == "facility active"


def test_every_input_has_a_source_and_a_day() -> None:
    body = told("llama3.1:8b", instance="p5.48xlarge", saas="openai/gpt-4o-mini")

    assert len(body["provenance"]) > 10
    assert all(one["source"] and one["as_of"] and one["name"] for one in body["provenance"])


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, {"H100, embodied", "H100, life"}),
        ({"train_tokens": 10**9}, {"H100, embodied", "calendar over computing time"}),
    ],
)
def test_the_carbon_of_making_and_the_calendar_have_sources(
    asked: dict[str, Any], names: set[str]
) -> None:
    body = told("llama3.1:8b", instance="p5.48xlarge", **asked)

    assert names <= {one["name"] for one in body["provenance"]}


def test_carbon_of_making_that_nobody_publishes_is_left_out_and_noted() -> None:
    body = told("llama3.1:8b", instance="p5en.48xlarge")

    assert "carbon_embodied_g_per_request" not in body
    assert any("carbon of making H200 is not known" in note for note in body["notes"])


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"instance": "g5.48xlarge", "colocate": 3, "saas": "openai/gpt-4o-mini"},
        {"instance": "g5.48xlarge", "requests_per_s": 3.0},
        {"device": "H100", "finetune": "lora", "train_tokens": 1000},
        {"device": "V100", "requests_per_s": 1e6, "ttft_s": 1e-6},
    ],
)
def test_every_plan_is_json(asked: dict[str, Any]) -> None:
    body = told("llama3.1:8b", **asked)

    assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_the_article_is_told_with_formula_and_standing() -> None:
    body = report.article(article.claims(TODAY))

    assert len(body["claims"]) == 10
    assert all(one["standing"] and one["then"][0]["formula"] for one in body["claims"])
