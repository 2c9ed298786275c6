"""The bill of materials: whole, valid, and with the weights in it."""

import json
from importlib import resources
from typing import Any

import jsonschema_rs
import pytest
from cyclonedx.output.json import JsonV1Dot6

from canteen.runtime.catalog import Catalog
from deploy.sbom import bill
from tests.cards import card

SCHEMAS = resources.files("cyclonedx.schema._res")


def schema(uri: str) -> Any:
    name = uri.rpartition("/")[2].removesuffix(".schema.json").removesuffix(".SNAPSHOT")
    return json.loads((SCHEMAS / f"{name}.SNAPSHOT.schema.json").read_text())


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = tmp_path_factory.mktemp("home")
    catalog = Catalog(home)
    catalog.put(card(name="mine:latest", size_bytes=7, license="Apache-2.0"))
    catalog.put(card(name="again:latest", size_bytes=7, license="Apache-2.0"))
    catalog.put(card(name="weightless:latest", digest="sha256:" + "1" * 64, size_bytes=0))
    return json.loads(JsonV1Dot6(bill(home)).output_as_string())


def components(told: Any, kind: str) -> dict[str, Any]:
    return {one["name"]: one for one in told["components"] if one["type"] == kind}


def test_it_is_valid_cyclonedx(told: Any) -> None:
    validator = jsonschema_rs.validator_for(schema("bom-1.6.schema.json"), retriever=schema)

    assert [error.message for error in validator.iter_errors(told)] == []


def test_the_libraries_that_are_needed_are_in_it_and_those_that_check_are_not(told: Any) -> None:
    libraries = components(told, "library")

    assert told["metadata"]["component"]["name"] == "canteen-llm"
    assert {"openvino", "pydantic", "h11", "starlette"} <= set(libraries)
    assert libraries["h11"]["purl"].startswith("pkg:pypi/h11@")
    assert libraries["h11"]["licenses"]
    assert not {"pytest", "mypy", "cyclonedx-python-lib"} & set(libraries)


def test_weights_are_in_it_once_with_digest_and_licence(told: Any) -> None:
    (model,) = components(told, "machine-learning-model").values()

    digest = model["version"].removeprefix("sha256:")
    assert model["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert model["licenses"][0]["license"]["id"] == "Apache-2.0"
    depends = next(one["dependsOn"] for one in told["dependencies"] if "dependsOn" in one)
    assert model["bom-ref"] in depends
