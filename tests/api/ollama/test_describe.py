"""How models look on the wire."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from canteen.api.ollama import describe
from canteen.core.model import ModelCard
from canteen.runtime.pool import LoadedModel

CARD = ModelCard(
    name="m:latest",
    kind="generator",
    digest="sha256:" + "ab" * 32,
    engine="openvino",
    folder="prepared/0",
    source="file:m",
    format="gguf",
    architecture="llama",
    num_parameters=134515008,
    context_length=8192,
    size_bytes=7,
    quantization="Q4_1",
    modified_at="2026-11-01T12:00:00Z",
    embedding_length=576,
    license="MIT",
    parent="base:latest",
    template="{{ messages }}",
    system="Be terse.",
    parameters={"temperature": 0.5, "stop": ["a", "b"]},
    messages=({"role": "user", "content": "hello"},),
    metadata={"llama.block_count": 30},
)
LOADED = LoadedModel(
    card=CARD,
    state="ready",
    memory_bytes=9,
    context_length=8192,
    expires_at=datetime(2026, 11, 1, 12, 5, tzinfo=UTC),
    num_running=0,
    num_waiting=0,
    kv_cache_usage=0.0,
    num_restarts=2,
    load_s=1.0,
)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (22_700, "23K"),
        (134_515_008, "134.52M"),
        (22_000_000, "22M"),
        (1_235_814_432, "1.2B"),
        (7_000_000_000, "7B"),
    ],
)
def test_a_number_of_parameters_is_short(number: int, text: str) -> None:
    assert describe.parameter_size(number) == text


def test_the_newest_model_is_listed_first() -> None:
    newer = replace(CARD, name="n:latest", modified_at="2026-11-02T12:00:00Z")

    names = [model["name"] for model in describe.tags([CARD, newer])["models"]]

    assert names == ["n:latest", "m:latest"]


def test_a_stored_model_has_a_bare_digest() -> None:
    (model,) = describe.tags([CARD])["models"]

    assert model == {
        "name": "m:latest",
        "model": "m:latest",
        "digest": "ab" * 32,
        "modified_at": "2026-11-01T12:00:00Z",
        "size": 7,
        "details": {
            "parent_model": "base:latest",
            "format": "gguf",
            "family": "llama",
            "families": ["llama"],
            "parameter_size": "134.52M",
            "quantization_level": "Q4_1",
        },
    }


def test_a_loaded_model_says_how_long_and_why() -> None:
    shown = describe.running([LOADED])

    (model,) = shown["models"]
    assert model["expires_at"] == "2026-11-01T12:05:00Z"
    assert (model["size"], model["size_vram"], model["context_length"]) == (9, 0, 8192)
    assert shown["states"]["m:latest"]["state"] == "ready"


@pytest.mark.parametrize(
    ("loaded", "why"),
    [
        (LOADED, "idle"),
        (replace(LOADED, expires_at=None), "for ever"),
        (replace(LOADED, num_running=3, num_waiting=1), "answers 3 requests, 1 wait"),
        (replace(LOADED, state="loading", num_waiting=4), "loaded for 4"),
        (replace(LOADED, state="restarting"), "restart 2"),
    ],
)
def test_every_state_has_its_reason(loaded: LoadedModel, why: str) -> None:
    assert why in describe.running([loaded])["states"]["m:latest"]["why"]


def test_a_model_kept_for_ever_has_an_end_that_parses() -> None:
    (model,) = describe.running([replace(LOADED, expires_at=None)])["models"]

    assert datetime.fromisoformat(model["expires_at"]).year == 9999


def test_all_that_is_known_is_shown() -> None:
    shown = describe.shown(CARD, ("completion",))

    assert shown["model_info"] == {
        "general.architecture": "llama",
        "general.parameter_count": 134515008,
        "llama.context_length": 8192,
        "llama.embedding_length": 576,
        "llama.block_count": 30,
    }
    assert shown["parameters"].splitlines() == [
        "temperature                    0.5",
        'stop                           "a"',
        'stop                           "b"',
    ]
    assert shown["modelfile"].splitlines() == [
        "FROM base:latest",
        'TEMPLATE """{{ messages }}"""',
        'SYSTEM """Be terse."""',
        "PARAMETER temperature 0.5",
        'PARAMETER stop "a"',
        'PARAMETER stop "b"',
        "MESSAGE user hello",
        'LICENSE """MIT"""',
    ]
    assert shown["capabilities"] == ["completion"]
    assert shown["messages"] == [{"role": "user", "content": "hello"}]


def test_a_model_is_not_its_own_parent() -> None:
    assert describe.details(replace(CARD, parent=CARD.name))["parent_model"] == ""
