"""Structured output fails closed, and tool calls parse, whatever the engine says."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from canteen.core.engine import Capabilities, EngineStats, fold
from canteen.core.errors import InvalidOutput, InvalidRequest
from canteen.core.generation import (
    Chunk,
    Completion,
    FinishReason,
    GenerationRequest,
    Grammar,
    Message,
    SamplingParams,
    ScoreRequest,
    Scores,
    Tool,
    ToolChoice,
    Usage,
)
from canteen.tasks.generate import generate

WEATHER = Tool(
    "weather", "tells it", {"type": "object", "properties": {"city": {"type": "string"}}}
)
PERSON = json.dumps(
    {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
)


@dataclass
class Scripted:
    """An engine that says what it is told, one script a request."""

    scripts: list[list[str]]
    finish_reason: FinishReason = "stop"
    tools_in_template: bool = True
    seen: list[GenerationRequest] = field(default_factory=list)
    name: str = "scripted"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(100, 4, grammar=True, tools_in_template=self.tools_in_template)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        self.seen.append(request)
        for piece in self.scripts.pop(0):
            yield Chunk(piece, num_tokens=1)
        yield Chunk(finish_reason=self.finish_reason, usage=Usage(completion_tokens=3))

    async def score(self, request: ScoreRequest) -> Scores:
        raise AssertionError("nothing was to be scored")

    async def stats(self) -> EngineStats:
        return EngineStats()

    async def close(self) -> None:
        return


def asked(**changes: Any) -> GenerationRequest:
    request = GenerationRequest("r", "m", messages=(Message("user", "hi"),), is_streamed=False)
    return replace(request, **changes)


async def run(engine: Scripted, request: GenerationRequest) -> Completion:
    return await fold(generate(engine, request))


async def test_plain_text_passes_through() -> None:
    completion = await run(Scripted([["a", "b"]]), asked())

    assert (completion.text, completion.choices[0].finish_reason) == ("ab", "stop")


async def test_a_text_that_validates_is_given() -> None:
    request = asked(grammar=Grammar("json_schema", PERSON))

    assert (await run(Scripted([['{"age"', ": 3}"]]), request)).text == '{"age": 3}'


async def test_an_invalid_text_is_made_once_more_with_another_seed() -> None:
    engine = Scripted([["{}"], ['{"age": 3}']])

    completion = await run(engine, asked(grammar=Grammar("json_schema", PERSON)))

    assert completion.text == '{"age": 3}'
    assert engine.seen[0].sampling.seed != engine.seen[1].sampling.seed


async def test_a_text_that_stays_invalid_is_an_error_and_no_answer() -> None:
    with pytest.raises(InvalidOutput, match="age"):
        await run(Scripted([["{}"], ["{}"]]), asked(grammar=Grammar("json_schema", PERSON)))


async def test_a_streamed_invalid_text_never_reaches_its_final_chunk() -> None:
    request = asked(grammar=Grammar("json_schema", PERSON), is_streamed=True)
    seen: list[Chunk] = []

    async def read() -> None:
        async for chunk in generate(Scripted([["{}"]]), request):
            seen.append(chunk)

    with pytest.raises(InvalidOutput):
        await read()

    assert [chunk.finish_reason for chunk in seen] == [None]


async def test_json_cut_by_the_token_limit_says_which_limit_to_raise() -> None:
    engine = Scripted([['{"age"']], finish_reason="length")

    with pytest.raises(InvalidRequest) as caught:
        await run(engine, asked(grammar=Grammar("json_schema", PERSON)))

    assert caught.value.param == "max_tokens"


async def test_json_cut_by_a_stop_sequence_is_the_callers_to_mend() -> None:
    request = asked(grammar=Grammar("json_schema", PERSON), sampling=SamplingParams(stop=("age",)))

    with pytest.raises(InvalidRequest) as caught:
        await run(Scripted([['{"']]), request)

    assert caught.value.param == "stop"


@pytest.mark.parametrize("text", ["[1]", '"x"', "{"])
async def test_json_mode_gives_an_object_or_an_error(text: str) -> None:
    with pytest.raises(InvalidOutput):
        await run(Scripted([[text], [text]]), asked(grammar=Grammar("json_object")))


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": "array", "uniqueItems": True}, r"\$\.uniqueItems"),
        ({"properties": {"a": {"multipleOf": 3}}}, r"\$\.properties\.a\.multipleOf"),
        ({"allOf": [{"type": "object"}, {"required": ["a"]}]}, r"\$\.allOf"),
        ({"$ref": "https://example.com/schema"}, r"\$\.\$ref"),
        ({"type": "string", "pattern": "^(?!a)"}, r"\$\.pattern"),
        ({"$schema": "http://127.0.0.1:9/schema"}, r"\$\.\$schema"),
        ({"items": {"$schema": "file:///etc/hostname"}}, r"\$\.items\.\$schema"),
        ({"$defs": 5}, r"\$\.\$defs"),
        ({"items": [{"not": {}}]}, r"\$\.items\[0\]\.not"),
        ({"items": {"minLength": 10**9}}, r"10000 at \$\.items\.minLength"),
        ({"enum": []}, r"\$\.enum"),
        ({"type": "object", "required": ["a"]}, r"'a'.* at \$\.required"),
        ({"properties": {"b": {}}, "required": ["b", "a"]}, r"'a'.* at \$\.required"),
        ({"items": {"required": ["a"]}}, r"\$\.items\.required"),
    ],
)
async def test_a_schema_that_cannot_be_enforced_is_refused_with_its_path(
    schema: Any, path: str
) -> None:
    engine = Scripted([])

    with pytest.raises(InvalidRequest, match=path):
        await run(engine, asked(grammar=Grammar("json_schema", json.dumps(schema))))

    assert not engine.seen


def with_properties(number: int, *, is_optional: bool) -> dict[str, Any]:
    properties = {f"p{i}": {"type": "null"} for i in range(number)}
    required = [] if is_optional else list(properties)
    return {"type": "object", "properties": properties, "required": required}


@pytest.mark.parametrize(
    ("schema", "limit"),
    [
        (with_properties(101, is_optional=True), "100 are the most"),
        (with_properties(1001, is_optional=False), "1000 are the most"),
        ({"items": [with_properties(90, is_optional=True)] * 12}, "1000 are the most"),
        ({"items": {"enum": list(range(2001))}}, "2000 are the most"),
        ({"const": "x" * 300_000}, "131072 bytes"),
    ],
)
async def test_a_schema_that_takes_long_to_compile_is_refused_with_the_limit(
    schema: Any, limit: str
) -> None:
    engine = Scripted([])

    with pytest.raises(InvalidRequest, match=limit):
        await run(engine, asked(grammar=Grammar("json_schema", json.dumps(schema))))

    assert not engine.seen


async def test_a_property_may_be_named_like_a_keyword() -> None:
    schema = {"type": "object", "properties": {"not": {"type": "string"}, "contains": {}}}
    request = asked(grammar=Grammar("json_schema", json.dumps(schema)))

    assert (await run(Scripted([["{}"]]), request)).text == "{}"


async def test_an_invalid_schema_is_refused() -> None:
    request = asked(grammar=Grammar("json_schema", '{"type": "dragon"}'))

    with pytest.raises(InvalidRequest, match="not a valid JSON Schema"):
        await run(Scripted([]), request)


@pytest.mark.parametrize("parameters", [{"type": {}}, {"properties": 5}, {"$ref": "#/$defs/a"}])
async def test_a_tool_of_free_choice_needs_a_valid_schema_too(parameters: Any) -> None:
    engine = Scripted([])

    with pytest.raises(InvalidRequest) as caught:
        await run(engine, asked(tools=(Tool("t", "", parameters),)))

    assert caught.value.param == "tools"
    assert not engine.seen


async def test_a_required_tool_is_called_by_constraint_on_any_template() -> None:
    script = ['{"name": "weather", "arguments"', ': {"city": "Ulm"}}']
    engine = Scripted([script], tools_in_template=False)
    request = asked(tools=(WEATHER,), tool_choice=ToolChoice("required"))

    completion = await run(engine, request)

    (call,) = completion.choices[0].tool_calls
    assert (call.name, call.arguments) == ("weather", '{"city":"Ulm"}')
    assert completion.choices[0].finish_reason == "tool_calls"
    assert completion.text == ""
    assert engine.seen[0].messages[0].role == "system"


async def test_arguments_that_do_not_fit_the_tool_are_an_error() -> None:
    script = ['{"name": "weather", "arguments": {"city": 1}}']
    request = asked(tools=(WEATHER,), tool_choice=ToolChoice("required"))

    with pytest.raises(InvalidOutput):
        await run(Scripted([script, script]), request)


async def test_a_free_choice_needs_a_template_with_tools() -> None:
    engine = Scripted([], tools_in_template=False)

    with pytest.raises(InvalidRequest, match="does not support tools"):
        await run(engine, asked(tools=(WEATHER,)))


async def test_a_named_tool_that_is_not_there_is_refused() -> None:
    request = asked(tools=(WEATHER,), tool_choice=ToolChoice("named", "nope"))

    with pytest.raises(InvalidRequest, match="'nope'"):
        await run(Scripted([]), request)


@pytest.mark.parametrize("cut", range(1, 12))
async def test_a_call_between_marks_is_found_however_it_is_cut(cut: int) -> None:
    text = 'Sure. <tool_call>{"name": "weather", "arguments": {}}</tool_call>'
    pieces = [text[i : i + cut] for i in range(0, len(text), cut)]

    completion = await run(Scripted([pieces]), asked(tools=(WEATHER,)))

    assert completion.text == "Sure. "
    assert [call.name for call in completion.choices[0].tool_calls] == ["weather"]
    assert completion.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("text", ["a < b <tool", "{not a call}", "<tool_call>{}</tool_call> x"])
async def test_what_only_looks_like_a_call_stays_text(text: str) -> None:
    completion = await run(Scripted([list(text)]), asked(tools=(WEATHER,)))

    assert completion.text == text
    assert completion.choices[0].finish_reason == "stop"


async def test_tools_with_definitions_of_their_own_do_not_clash() -> None:
    def tool(name: str, kind: str) -> Tool:
        schema = {
            "type": "object",
            "properties": {"x": {"$ref": "#/$defs/X"}},
            "required": ["x"],
            "$defs": {"X": {"type": kind}},
        }
        return Tool(name, "", schema)

    tools = (tool("one", "string"), tool("two", "integer"))
    script = ['{"name": "two", "arguments": {"x": 5}}']
    request = asked(tools=tools, tool_choice=ToolChoice("required"))

    completion = await run(Scripted([script]), request)

    assert completion.choices[0].tool_calls[0].arguments == '{"x":5}'


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "object", "$defs": 5},
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/"}}},
    ],
)
async def test_a_tool_that_cannot_be_enforced_is_refused(parameters: Any) -> None:
    request = asked(tools=(Tool("t", "", parameters),), tool_choice=ToolChoice("required"))

    with pytest.raises(InvalidRequest) as caught:
        await run(Scripted([]), request)

    assert caught.value.param == "tools"


async def test_a_tool_nested_deeply_is_refused() -> None:
    parameters: dict[str, Any] = {}
    for _ in range(900):
        parameters = {"items": parameters}
    request = asked(tools=(Tool("t", "", parameters),), tool_choice=ToolChoice("required"))

    with pytest.raises(InvalidRequest, match="deeper"):
        await run(Scripted([]), request)


async def test_an_enum_that_looks_like_a_reference_is_left_alone() -> None:
    value = {"$ref": "#/$defs/X"}
    parameters = {"type": "object", "properties": {"a": {"enum": [value]}}, "required": ["a"]}
    script = [json.dumps({"name": "t", "arguments": {"a": value}})]
    request = asked(tools=(Tool("t", "", parameters),), tool_choice=ToolChoice("required"))

    completion = await run(Scripted([script]), request)

    assert json.loads(completion.choices[0].tool_calls[0].arguments) == {"a": value}
