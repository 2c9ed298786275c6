"""How the service goes, live."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.api.keyed import keyed
from tests.conftest import Serve
from tests.serving import Server

CHAT = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}


@contextmanager
def listening(server: Server) -> Iterator[Iterator[dict[str, Any]]]:
    """The events, as they come."""
    with httpx.stream("GET", f"{server.url}/v1/now", timeout=20, trust_env=False) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        yield (
            json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line.strip()
        )


def test_the_history_comes_first_and_then_sample_by_sample(echo_server: Server) -> None:
    with listening(echo_server) as events:
        history = next(events)
        sample = next(events)

    assert history["meter"]["grade"] in "ABCD"
    assert sample["at_s"] > history["samples"][-1]["at_s"]
    assert sample["status"] == "UP"
    assert sample["trouble"] == []
    assert sample["power_w"]["meter"] >= 0


def test_what_was_asked_is_seen_in_its_models_figures(echo_server: Server) -> None:
    with listening(echo_server) as events:
        next(events)
        httpx.post(f"{echo_server.url}/v1/chat/completions", json=CHAT, trust_env=False)
        models = (event["models"]["echo:latest"] for event in events)
        assert any(one["tokens_per_s"] > 0 for one in models)
        # That sample may have been taken while the answer was made.
        model = next(one for one in models if one["ttft_s"] and not one["running"])

    assert model["ttft_s"]["p95"] >= model["ttft_s"]["p50"] > 0
    assert (model["state"], model["running"], model["waiting"]) == ("ready", 0, 0)
    assert model["memory_bytes"] > 0


def test_what_is_asked_of_another_name_is_seen_too(echo_server: Server) -> None:
    names = {"source": "echo", "destination": "echo-again"}
    httpx.post(f"{echo_server.url}/api/copy", json=names, trust_env=False).raise_for_status()

    with listening(echo_server) as events:
        next(events)
        httpx.post(
            f"{echo_server.url}/v1/chat/completions",
            json=CHAT | {"model": "echo-again"},
            trust_env=False,
        )
        models = (told for event in events for told in event["models"].items())
        name = next(name for name, one in models if one["tokens_per_s"] > 0)
        # How soon it came is told when the answer is over.
        assert any(one["ttft_s"] for other, one in models if other == name)

    httpx.request(
        "DELETE", f"{echo_server.url}/api/delete", json={"model": "echo-again"}, trust_env=False
    )


def test_all_who_listen_are_told_the_same_sample(echo_server: Server) -> None:
    with listening(echo_server) as first, listening(echo_server) as second:
        next(first)
        next(second)
        told = next(second)["at_s"]

        # The first may have heard of any number before the second was there.
        assert next(event["at_s"] for event in first if event["at_s"] >= told) == told


def test_the_stream_ends_with_the_service_and_does_not_keep_it(
    serve: Serve, echo_home: Path
) -> None:
    server = serve(echo_home)

    with listening(server) as events:
        next(events)
        server.process.terminate()
        rest = list(events)

    assert all("error" not in one for one in rest)
    assert server.process.wait(20) == 0


async def test_it_is_for_keys_that_may_see_the_footprint(echo_home: Path) -> None:
    async with keyed(echo_home) as service, await service.shown("llm:chat") as caller:
        answer = await caller.get("/v1/now")

    assert answer.status_code == 403
    assert "llm:footprint" in answer.json()["detail"]
