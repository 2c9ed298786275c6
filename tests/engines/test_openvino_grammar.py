import json
from typing import Any

from canteen.core.generation import Grammar
from canteen.engines.grammar_limits import MOST_BOUNDS
from canteen.engines.openvino_grammar import structured_output


def given_to_the_library(schema: Any) -> Any:
    return json.loads(structured_output(Grammar("json_schema", json.dumps(schema))).json_schema)


def test_a_few_bounds_are_kept() -> None:
    schema = {"type": "array", "items": {"type": "string", "maxLength": 100}, "minItems": 1}

    assert given_to_the_library(schema) == schema


def test_of_many_bounds_the_largest_are_left_to_validation() -> None:
    long = {"type": "string", "maxLength": 255}
    properties = {f"p{i}": long for i in range(20)} | {"code": {"type": "string", "minLength": 2}}

    given = given_to_the_library({"type": "object", "properties": properties})["properties"]

    assert given["code"] == properties["code"]
    assert sum(each.get("maxLength", 0) for each in given.values()) <= MOST_BOUNDS
