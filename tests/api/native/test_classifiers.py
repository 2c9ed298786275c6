"""Classifiers over HTTP: fitted, shown, used, removed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from canteen.api.native.classifiers import listed
from canteen.core.classifier import Classifier
from canteen.runtime.classifiers import ClassifierStore
from tests.conftest import Serve
from tests.serving import Server

EXAMPLES = [
    {"text": f"{number} times {label}", "label": label}
    for number in range(6)
    for label in ("sports", "politics")
]


@pytest.fixture
def client(echo_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=echo_server.url, timeout=60, trust_env=False) as client:
        yield client


def fit(client: httpx.Client, name: str, **body: Any) -> httpx.Response:
    asked = {"model": "echo", "embedder": "echo-embed", "examples": EXAMPLES, **body}
    return client.put(f"/v1/classifiers/{name}", json=asked)


@pytest.mark.parametrize("method", ["score", "head"])
def test_a_classifier_is_fitted_and_used_by_its_name(client: httpx.Client, method: str) -> None:
    made = fit(client, f"topics-{method}", method=method)

    body = {
        "model": "echo",
        "embedder": "echo-embed",
        "classifier": f"topics-{method}",
        "input": "3 times politics",
    }
    told = client.post("/v1/tasks/classify", json=body).json()

    assert made.status_code == 200
    assert made.json()["labels"] == ["sports", "politics"]
    assert made.json()["footprint"]["id"] == made.headers["x-canteen-receipt"]
    assert told["label"] == "politics"
    assert told["method"] == method


def test_classifiers_are_listed_shown_and_removed(client: httpx.Client) -> None:
    fit(client, "gone-soon")

    listed = client.get("/v1/classifiers").json()["classifiers"]
    shown = client.get("/v1/classifiers/gone-soon").json()
    removed = client.delete("/v1/classifiers/gone-soon")
    after = client.get("/v1/classifiers/gone-soon")

    assert "gone-soon" in [one["name"] for one in listed]
    assert "weights" not in shown
    assert shown["report"]["num_examples"] == len(EXAMPLES)
    assert removed.status_code == 200
    assert after.status_code == 404
    assert after.json()["code"] == "classifier_not_found"


def test_a_damaged_classifier_is_listed_with_its_problem(echo_home: Path, serve: Serve) -> None:
    folder = echo_home / "classifiers"
    folder.mkdir()
    for name, data in (("bad", b"{"), ("deep", b'{"report": ' + b"[" * 100_000), ("odd", b'"\xff')):
        folder.joinpath(f"{name}.json").write_bytes(data)
    with httpx.Client(base_url=serve(echo_home).url, timeout=60, trust_env=False) as client:
        fit(client, "whole")

        listed = client.get("/v1/classifiers").json()["classifiers"]

    assert [one["name"] for one in listed] == ["bad", "deep", "odd", "whole"]
    assert all("damaged" in one["problem"] for one in listed[:3])
    assert listed[3]["labels"] == ["sports", "politics"]


def test_what_is_removed_while_others_are_listed_is_left_out(tmp_path: Path) -> None:
    class Losing(ClassifierStore):
        def names(self) -> tuple[str, ...]:
            return "gone", *super().names()

    store = Losing(tmp_path)
    store.put(Classifier("kept", "score", ("a", "b"), "m", "d", "", (0.0, 0.0)))

    assert [one["name"] for one in listed(store)] == ["kept"]


@pytest.mark.parametrize(
    ("name", "change", "param"),
    [
        ("x", {"examples": []}, "examples"),
        ("x", {"examples": [{"text": "a"}]}, "examples.0.label"),
        ("x", {"examples": EXAMPLES[::2]}, "labels"),
        ("x", {"labels": ["sports", "art"]}, "examples"),
        ("x", {"method": "guess"}, "method"),
        ("a%20b", {}, "classifier"),
        ("..", {}, None),
    ],
)
def test_what_cannot_be_learned_is_refused(
    client: httpx.Client, name: str, change: dict[str, Any], param: str | None
) -> None:
    answer = fit(client, name, **change)

    assert answer.status_code in (400, 404, 405)
    if param is not None:
        assert answer.json()["param"] == param
