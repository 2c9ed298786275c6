"""What the dialect asks, in our own words, and what is refused by its path."""

from typing import Any

import pytest

from canteen.api.anthropic import translate
from canteen.api.anthropic.schema import CountTokensRequest, MessagesRequest
from canteen.core.errors import InvalidRequest
from canteen.core.generation import GenerationRequest, Grammar, Message, Tool, ToolCall, ToolChoice

HELLO: dict[str, Any] = {
    "model": "m",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "hello"}],
}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"name": "weather", "description": "of a city", "input_schema": SCHEMA}
CALL = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Rome"}}


def asked(**keys: Any) -> GenerationRequest:
    return translate.message(MessagesRequest.model_validate(HELLO | keys), "id", "someone")


def said(*turns: tuple[str, Any]) -> tuple[Message, ...]:
    return asked(messages=[{"role": role, "content": content} for role, content in turns]).messages


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def test_a_conversation_and_how_it_is_to_be_sampled() -> None:
    request = asked(
        system="Be brief.", temperature=0.2, top_p=0.9, top_k=5, stop_sequences=["END"], stream=True
    )

    assert request.messages == (Message("system", "Be brief."), Message("user", "hello"))
    assert request.sampling.max_tokens == 9
    assert request.sampling.temperature == 0.2
    assert (request.sampling.top_p, request.sampling.top_k) == (0.9, 5)
    assert request.sampling.stop == ("END",)
    assert request.is_streamed
    assert request.caller_id == "someone"


def test_a_system_prompt_may_come_in_blocks() -> None:
    marked = text("Be kind.") | {"cache_control": {"type": "ephemeral"}}

    request = asked(system=[text("Be brief."), marked])

    assert request.messages[0] == Message("system", "Be brief.\nBe kind.")


def test_calls_and_their_results_are_messages_of_their_own() -> None:
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [text("21 °C")]}
    failed = {"type": "tool_result", "tool_use_id": "t2", "content": "no such", "is_error": True}

    assert said(
        ("user", "weather?"),
        ("assistant", [text("Let me look."), CALL]),
        ("user", [result, failed, text("Well?")]),
    ) == (
        Message("user", "weather?"),
        Message(
            "assistant",
            "Let me look.",
            tool_calls=(ToolCall("t1", "weather", '{"city": "Rome"}'),),
        ),
        Message("tool", "21 °C", tool_call_id="t1"),
        Message("tool", "Error: no such", tool_call_id="t2"),
        Message("user", "Well?"),
    )


def test_turns_of_one_role_are_one_turn() -> None:
    assert said(("user", "one"), ("user", [text("two"), text("three")])) == (
        Message("user", "one\ntwo\nthree"),
    )


def test_earlier_thoughts_are_left_out() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}

    assert said(("user", "a"), ("assistant", [thought, text("b")]), ("user", "c"))[1] == Message(
        "assistant", "b"
    )


@pytest.mark.parametrize(
    ("wanted", "choice"),
    [
        ({"type": "auto"}, ToolChoice("auto")),
        ({"type": "any"}, ToolChoice("required")),
        ({"type": "none"}, ToolChoice("none")),
        ({"type": "tool", "name": "weather"}, ToolChoice("named", "weather")),
    ],
)
def test_tools_and_which_is_to_be_called(wanted: dict[str, str], choice: ToolChoice) -> None:
    request = asked(tools=[WEATHER], tool_choice=wanted)

    assert request.tools == (Tool("weather", "of a city", SCHEMA),)
    assert request.tool_choice == choice
    assert request.parallel_tool_calls


def test_calls_side_by_side_may_be_forbidden() -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": True}

    assert not asked(tools=[WEATHER], tool_choice=choice).parallel_tool_calls


def test_an_answer_may_have_to_satisfy_a_schema() -> None:
    wanted = {"format": {"type": "json_schema", "schema": {"type": "object"}}, "effort": "low"}

    assert asked(output_config=wanted).grammar == Grammar("json_schema", '{"type": "object"}')


def test_counting_asks_for_no_answer() -> None:
    body = CountTokensRequest.model_validate({"model": "m", "messages": HELLO["messages"]})

    request = translate.counting(body, "id", "someone")

    assert request.counts_only
    assert request.messages == (Message("user", "hello"),)


IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}


@pytest.mark.parametrize(
    ("keys", "param"),
    [
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [CALL]}]}, "messages[0].content[0].type"),
        ({"system": [IMAGE]}, "system[0].type"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
        (
            {"messages": [*HELLO["messages"], {"role": "assistant", "content": "He"}]},
            "messages",
        ),
    ],
)
def test_what_is_not_done_is_refused_by_its_path(keys: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(**keys)

    assert caught.value.param == param


def test_thinking_that_the_model_may_leave_out_is_left_out() -> None:
    assert asked(thinking={"type": "adaptive"}) == asked()
