"""What echo adds to the engine contract: it says the prompt, and obeys a grammar."""

import json
from dataclasses import replace

import jsonschema_rs
import pytest

from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    GenerationRequest,
    Grammar,
    Message,
    SamplingParams,
    Tool,
)
from canteen.engines.echo import EchoEmbedder, EchoEngine

HELLO = GenerationRequest("r", "echo", messages=(Message("user", "hello brave world"),))


def said(request: GenerationRequest) -> list[Chunk]:
    engine = EchoEngine()
    engine.add(request)
    chunks: list[Chunk] = []
    while engine.has_work():
        chunks += [delta.chunk for delta in engine.step() if delta.chunk]
    return chunks


def text(request: GenerationRequest) -> str:
    return "".join(chunk.text for chunk in said(request))


def test_it_says_the_last_message_word_by_word() -> None:
    assert [chunk.text for chunk in said(HELLO)] == ["hello", " brave", " world", ""]


def test_it_goes_on_until_max_tokens() -> None:
    chunks = said(replace(HELLO, sampling=SamplingParams(max_tokens=5)))

    assert sum(chunk.num_tokens for chunk in chunks) == 5
    assert chunks[-1].finish_reason == "length"


def test_a_stop_string_ends_it_and_is_not_said() -> None:
    request = replace(HELLO, sampling=SamplingParams(max_tokens=50, stop=("ve w",)))

    assert text(request) == "hello bra"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2},
        {"$ref": "#/$defs/A", "$defs": {"A": {"type": "string", "minLength": 9}}},
        {"anyOf": [{"type": ["string", "null"]}, {"const": 4}]},
        {"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}},
        {"type": "array", "items": {"$ref": "#"}},
        {"type": "string", "minLength": 5.0, "maxLength": 6.0},
    ],
)
def test_it_obeys_a_schema(schema: dict[str, object]) -> None:
    request = replace(HELLO, grammar=Grammar("json_schema", json.dumps(schema)))

    assert jsonschema_rs.is_valid(schema, json.loads(text(request)))


def test_it_calls_the_first_of_its_tools_once() -> None:
    tools = (Tool("one", "", {"properties": {"x": {"type": "string"}}}), Tool("two"))
    answer = Message("tool", "result")

    assert '"name": "one"' in text(replace(HELLO, tools=tools))
    assert text(replace(HELLO, tools=tools, messages=(*HELLO.messages, answer))) == "result"


def test_texts_with_words_in_common_are_nearer() -> None:
    texts = ("red apple pie", "red apple cake", "blue whale song")
    a, b, c = EchoEmbedder().embed(EmbeddingRequest("r", "echo", texts)).vectors

    def similarity(x: tuple[float, ...], y: tuple[float, ...]) -> float:
        return sum(p * q for p, q in zip(x, y, strict=True))

    assert similarity(a, b) > similarity(a, c)
    assert similarity(a, a) == pytest.approx(1)
