"""The generated reference is what the program says today."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from canteen.runtime.deferred.command import PATHS
from docs import generate


@pytest.mark.parametrize(
    "page",
    [
        "settings.md",
        "cli.md",
        "http-api.md",
        "asyncapi.json",
        "modules.md",
        "../the-article.md",
    ],
)
def test_a_page_of_the_reference_is_up_to_date(page: str) -> None:
    written = (generate.REFERENCE / page).read_text()

    assert written == generate.pages()[page], "run make docs"


def test_every_message_is_described_by_schemas_that_are_there() -> None:
    document = json.loads((generate.REFERENCE / "asyncapi.json").read_text())

    messages, schemas = document["components"]["messages"], document["components"]["schemas"]
    assert len(messages) == 3 * len(PATHS) + 1
    there = messages.keys() | schemas.keys() | {"commands", "replies"}
    assert {ref.rpartition("/")[2] for ref in refs(document)} <= there
    assert messages["llm.chat.requested.v1"]["payload"] == {
        "$ref": "#/components/schemas/openai.ChatRequest"
    }


def refs(value: Any) -> Iterator[str]:
    """What is referred to anywhere."""
    if isinstance(value, dict):
        yield from [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from refs(one)
