"""The store over HTTP: the menu, cards with their records, evaluations and comparisons."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from canteen.lifecycle.quantize import records
from canteen.runtime.catalog import Catalog
from tests.api.keyed import Keyed, keyed
from tests.lifecycle.tiny_model import CHATML, TinyModel


@pytest.fixture
async def service(echo_home: Path) -> AsyncIterator[Keyed]:
    async with keyed(echo_home, keys="off") as made:
        yield made


async def test_the_menu_says_what_can_be_pulled_and_what_is_here(service: Keyed) -> None:
    async with service.client() as caller:
        told = (await caller.get("/v1/menu")).json()

    is_here = {one["name"]: one["is_here"] for one in told["menu"]}
    assert is_here["echo:latest"] is True
    assert is_here["smollm2:135m"] is False
    assert told["formats"]["int8"] == "int8, symmetric per channel"


async def test_a_model_is_told_with_its_records_and_without_folders(
    service: Keyed, echo_home: Path
) -> None:
    catalog = Catalog(echo_home)
    lineage = {"parent": "echo:latest", "data_digest": "sha256:1", "job": "job_1"}
    made = replace(
        catalog.get("echo"),
        name="mine:latest",
        parent="echo:latest",
        source="file:/home/somebody/mine.gguf",
        metadata={"lineage": lineage},
        quality={"perplexity_after": 12.0},
    )
    catalog.put(made)

    async with service.client() as caller:
        models = (await caller.get("/v1/store")).json()["models"]

    told = next(one for one in models if one["name"] == "mine:latest")
    assert told["source"] == "file:mine.gguf"
    assert told["lineage"] == lineage
    assert told["quality"] == {"perplexity_after": 12.0}


async def test_a_key_sees_only_the_models_that_it_is_for(echo_home: Path) -> None:
    async with keyed(echo_home) as service:
        _, secret = await service.key("llm:chat", models=["echo"])
        async with service.client(authorization=f"Bearer {secret}") as caller:
            told = (await caller.get("/v1/store")).json()
            refused = await caller.get("/v1/comparisons")

    assert [one["name"] for one in told["models"]] == ["echo:latest"]
    assert refused.status_code == 403


async def test_comparisons_are_told_the_newest_first_and_damaged_ones_left_out(
    service: Keyed, echo_home: Path
) -> None:
    for now_s, model in enumerate(("a:1", "a-1", "a:1")):
        records.save({"model": model, "rows": [], "recommended": ""}, echo_home, now_s)
    (echo_home / records.FOLDER / "c.json").write_text("{")

    async with service.client() as caller:
        told = (await caller.get("/v1/comparisons")).json()["comparisons"]

    assert [one["model"] for one in told] == ["a:1", "a-1"]


async def test_evaluations_are_told_without_their_answers(service: Keyed, echo_home: Path) -> None:
    folder = echo_home / "evaluations"
    folder.mkdir()
    (folder / "20261129-classify-pets.json").write_text(
        '{"id": "20261129-classify-pets", "task": "classify", "dataset": "pets",'
        '"subject": {"model": "echo:latest"}, "created_at": "2026-11-29T10:00:00Z",'
        '"records": [{"id": "1"}, {"id": "2"}], "outcomes": [{"label": "dog"}],'
        '"metrics": {"accuracy": {"value": 0.5, "low": 0.1, "high": 0.9}}}'
    )

    async with service.client() as caller:
        (told,) = (await caller.get("/v1/evaluations")).json()["evaluations"]

    assert (told["model"], told["num_items"]) == ("echo:latest", 2)
    assert told["metrics"]["accuracy"] == {"value": 0.5, "low": 0.1, "high": 0.9}
    assert "outcomes" not in told


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"model": "echo", "format": "int3"}, 400, "'int3' is no format; there are int8"),
        ({"model": "echo", "format": "int4"}, 400, "are served as they were published"),
        ({"model": "none", "format": "int4"}, 404, "none"),
    ],
)
async def test_what_cannot_be_prepared_is_told_before_anything_is_done(
    service: Keyed, body: dict[str, str], status: int, says: str
) -> None:
    async with service.client() as caller:
        answer = await caller.post("/v1/prepare", json=body)

    assert answer.status_code == status
    assert says in answer.json()["detail"]


async def test_weights_are_brought_into_another_format_step_by_step(
    service: Keyed, echo_home: Path, tmp_path: Path
) -> None:
    source = TinyModel("llama", template=CHATML).write(tmp_path / "tiny.gguf")
    async for _ in service.services.pull(f"file:{source}", "tiny:1"):
        pass

    async with service.client() as caller:
        answer = await caller.post("/v1/prepare", json={"model": "tiny:1", "format": "int8-asym"})
        models = (await caller.get("/v1/store")).json()["models"]

    steps = [json.loads(line) for line in answer.text.splitlines()]
    assert steps[-1]["status"] == "success"
    assert any("preparing" in step["status"] for step in steps)
    made = {one["name"]: one for one in models}["tiny:1-int8-asym"]
    assert "asymmetric" in made["quality"]["weights_after"]
