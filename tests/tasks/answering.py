"""Models for tests of structured tasks: they answer with what a function makes of a request."""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from hypothesis import strategies as st

from canteen.core.generation import Chunk, GenerationRequest, Usage
from tests.tasks.speaking import Speaking


class Answering(Speaking):
    """Answers each request in one piece."""

    def __init__(self, answer: Callable[[GenerationRequest], Any], context: int = 8192) -> None:
        super().__init__(context=context)
        self._answer = answer

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        self.asked.append(request)
        yield Chunk(json.dumps(self._answer(request)), num_tokens=1)
        yield Chunk(finish_reason="stop", usage=Usage(prompt_tokens=1, completion_tokens=1))


def schema_of(request: GenerationRequest) -> dict[str, Any]:
    """What a request's answer must satisfy."""
    assert request.grammar is not None
    schema: dict[str, Any] = json.loads(request.grammar.value)
    return schema


def instances(schema: Any, strings: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Whatever satisfies the part of JSON Schema that the tests use."""
    if "anyOf" in schema:
        return st.one_of([instances(one, strings) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if isinstance(schema["type"], list):
        return st.one_of([instances(schema | {"type": one}, strings) for one in schema["type"]])
    if schema["type"] == "object":
        return st.fixed_dictionaries(_properties(schema, strings))
    if schema["type"] == "array":
        return st.lists(instances(schema["items"], strings), max_size=schema["maxItems"])
    if schema["type"] == "string":
        return strings.filter(lambda said: len(said) >= schema.get("minLength", 0))
    plain: dict[str, st.SearchStrategy[Any]] = {
        "integer": st.integers(),
        "number": st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return plain[schema["type"]]


def _properties(
    schema: Mapping[str, Any], strings: st.SearchStrategy[str]
) -> dict[str, st.SearchStrategy[Any]]:
    return {name: instances(one, strings) for name, one in schema["properties"].items()}
