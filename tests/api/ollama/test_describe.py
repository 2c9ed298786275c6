"""How models look on the wire."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from canteen.api.ollama import describe
from canteen.core.model import ModelCard
from canteen.runtime.history import Event, What
from canteen.runtime.slot import LoadedModel

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
    load_bytes=9,
    counted_bytes=11,
    is_measured=True,
    context_length=8192,
    loaded_at=datetime(2026, 11, 1, 12, 0, tzinfo=UTC),
    last_used_at=datetime(2026, 11, 1, 12, 1, tzinfo=UTC),
    expires_at=datetime(2026, 11, 1, 12, 5, tzinfo=UTC),
    num_running=0,
    num_waiting=0,
    oldest_wait_s=0.0,
    kv_cache_usage=0.0,
    num_restarts=2,
)


def event(model: str, what: What, why: str) -> Event:
    return Event(model, what, why, datetime(2026, 11, 1, 12, 0, tzinfo=UTC), None)


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
    shown = describe.running([LOADED], [event("m:latest", "loaded", "on request")])

    (model,) = shown["models"]
    assert model["expires_at"] == "2026-11-01T12:05:00Z"
    assert (model["size"], model["size_vram"], model["context_length"]) == (9, 0, 8192)
    assert shown["states"]["m:latest"] == {
        "state": "ready",
        "why": "idle; its last keep_alive keeps it until expires_at",
        "counted_bytes": 11,
        "counted_by": "measurement",
        "loaded_at": "2026-11-01T12:00:00Z",
        "last_used_at": "2026-11-01T12:01:00Z",
        "last_event": {"what": "loaded", "why": "on request", "at": "2026-11-01T12:00:00Z"},
    }


def test_a_model_that_is_gone_says_why() -> None:
    shown = describe.running([], [event("n:latest", "evicted", "to make room for m:latest")])

    assert shown["models"] == []
    assert shown["states"]["n:latest"]["state"] == "unloaded"
    assert shown["states"]["n:latest"]["why"] == "evicted: to make room for m:latest"


def test_a_model_that_waits_for_memory_is_not_listed_as_loaded() -> None:
    waiting = replace(LOADED, state="waiting", memory_bytes=0, loaded_at=None)

    shown = describe.running([waiting], [event("m:latest", "evicted", "for another")])

    assert shown["models"] == []
    assert shown["states"]["m:latest"]["state"] == "waiting"
    assert shown["states"]["m:latest"]["last_event"]["what"] == "evicted"


def test_a_model_that_loads_has_the_size_it_is_expected_to_have() -> None:
    loading = replace(LOADED, state="loading", memory_bytes=0)

    assert describe.running([loading], [])["models"][0]["size"] == 11


@pytest.mark.parametrize(
    ("loaded", "why"),
    [
        (LOADED, "idle"),
        (replace(LOADED, expires_at=None), "for ever"),
        (replace(LOADED, num_running=3, num_waiting=1), "answers 3 requests, 1 wait"),
        (replace(LOADED, state="loading", num_waiting=4), "loaded for 4"),
        (replace(LOADED, state="restarting"), "restart 2"),
        (replace(LOADED, state="waiting", num_waiting=3), "waits for memory for 3"),
        (replace(LOADED, state="unloading"), "no new requests"),
    ],
)
def test_every_state_has_its_reason(loaded: LoadedModel, why: str) -> None:
    assert why in describe.running([loaded], [])["states"]["m:latest"]["why"]


def test_a_model_kept_for_ever_has_an_end_that_parses() -> None:
    (model,) = describe.running([replace(LOADED, expires_at=None)], [])["models"]

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
