"""The arithmetic: each step has its numbers, and each number from outside its source."""

import pytest

from canteen.planning.explain import explained
from tests.planning.plans import planned


def test_the_cache_of_a_token_is_told_by_layers_and_heads() -> None:
    assert (
        "KV cache of a token: (32 layers x 8 heads x (128 + 128)) x 2 B = 131,072 B"
        in explained(planned("llama3.1:8b"))
    )


def test_windows_and_latents_are_told_apart() -> None:
    assert "the last 1,024 tokens" in "\n".join(explained(planned("gemma3:12b")))
    assert "(512 + 64) latent" in "\n".join(
        explained(planned("deepseek-v3", instance="p5en.48xlarge"))
    )


@pytest.mark.parametrize(
    "step",
    [
        "prefill of 512 tokens",
        "decode step of 1",
        "money",
        "building",
        "water on site",
        "carbon: ",
        "carbon of making",
    ],
)
def test_serving_is_explained_from_its_tokens_to_its_carbon(step: str) -> None:
    lines = explained(planned("llama3.1:8b", instance="p5.48xlarge"))

    assert any(line.startswith(step) and " = " in line for line in lines)


def test_training_is_explained_from_its_bytes_to_its_carbon() -> None:
    lines = explained(planned("7B", instance="p5.48xlarge", train_tokens=10**12, zero=3))

    for step in ("each device", "calendar", "money", "energy", "building", "carbon of making"):
        assert any(line.startswith(step) and " = " in line for line in lines)
    assert any("x 0.4 training MFU" in line for line in lines)
    assert any("x 1.2 for restarts and evaluations" in line for line in lines)
    assert any("x 0.73 of it x 1.3 server over devices" in line for line in lines)
    assert any(line.startswith("calendar over computing time: 1.2 [1.1, 1.3]") for line in lines)


def test_an_hour_of_hardware_of_ones_own_is_explained() -> None:
    lines = explained(planned("llama3.1:8b", device="H100", hardware_usd=30_000.0))

    assert any(
        line.startswith("an hour: 30,000 USD / 4 year + ") and "x 0.15 USD/kWh" in line
        for line in lines
    )
    assert any(line.startswith("price of electricity: 0.15") for line in lines)


def test_every_number_from_outside_has_a_source_and_a_day() -> None:
    lines = explained(planned("llama3.1:8b", instance="p5.48xlarge", saas="openai/gpt-4o-mini"))

    sources = lines[lines.index("Numbers from outside:") + 1 :]
    assert len(sources) > 10
    assert all("(" in line and line.endswith(")") and "20" in line for line in sources)


def test_what_does_not_fit_is_explained_as_far_as_it_goes() -> None:
    lines = explained(planned("gpt-3", instance="g5.48xlarge"))

    assert any("fits no" in line for line in lines)
    assert not any(line.startswith("decode step") for line in lines)
