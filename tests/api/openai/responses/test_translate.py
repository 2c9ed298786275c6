"""What the input of a response means, and what needs a state that is not kept."""

import json
from typing import Any

import pytest

from canteen.api.openai.responses import translate
from canteen.api.openai.responses.schema import ResponseRequest
from canteen.core.errors import InvalidRequest
from canteen.core.generation import (
    GenerationRequest,
    Grammar,
    Message,
    Tool,
    ToolCall,
    ToolChoice,
)

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}


def generation(**keys: Any) -> GenerationRequest:
    body = ResponseRequest.model_validate({"model": "m", "input": "hello"} | keys)
    return translate.generation(body, "resp_1", "someone")


def test_instructions_come_before_the_input() -> None:
    assert generation(instructions="Be terse.").messages == (
        Message("system", "Be terse."),
        Message("user", "hello"),
    )


def test_items_are_turns_and_calls_join_the_turn_before_them() -> None:
    items = [
        {"role": "developer", "content": "Be terse."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Paris?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"},
        {"type": "function_call", "call_id": "call_2", "name": "time", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "18 C"},
        {"type": "function_call_output", "call_id": "call_2", "output": "noon"},
    ]

    calls = (ToolCall("call_1", "weather", "{}"), ToolCall("call_2", "time", "{}"))
    assert generation(input=items).messages == (
        Message("system", "Be terse."),
        Message("user", "Paris?"),
        Message("assistant", "I look.", tool_calls=calls),
        Message("tool", "18 C", tool_call_id="call_1"),
        Message("tool", "noon", tool_call_id="call_2"),
    )


def test_tools_and_formats_are_flat() -> None:
    request = generation(
        tools=[{"type": "function", "name": "weather", "description": "d", "parameters": SCHEMA}],
        tool_choice={"type": "function", "name": "weather"},
        text={"format": {"type": "json_schema", "name": "x", "schema": SCHEMA, "strict": True}},
    )

    assert request.tools == (Tool("weather", "d", SCHEMA),)
    assert request.tool_choice == ToolChoice("named", "weather")
    assert request.grammar == Grammar("json_schema", json.dumps(SCHEMA))


def test_options_arrive_under_our_names() -> None:
    request = generation(
        max_output_tokens=5,
        temperature=0.5,
        include=["message.output_text.logprobs"],
        top_logprobs=2,
        truncation="auto",
        stream=True,
    )

    assert (request.sampling.max_tokens, request.sampling.temperature) == (5, 0.5)
    assert (request.logprobs, request.top_logprobs) == (True, 2)
    assert request.truncate
    assert request.is_streamed


@pytest.mark.parametrize(
    ("keys", "param"),
    [
        ({"previous_response_id": "resp_0"}, "previous_response_id"),
        ({"conversation": "conv_0"}, "conversation"),
        ({"prompt": {"id": "pmpt_0"}}, "prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_0"}]}, "input[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].type",
        ),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"top_logprobs": 2}, "top_logprobs"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_by_name(keys: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        generation(**keys)

    assert caught.value.param == param
