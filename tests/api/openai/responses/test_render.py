"""A response, whole and as events."""

from collections.abc import Sequence
from typing import Any

from canteen.api.openai.responses import render
from canteen.api.openai.responses.schema import ResponseRequest
from canteen.core.generation import Choice, Chunk, FinishReason, ToolCall, Usage

BODY = ResponseRequest.model_validate({"model": "m", "input": "hello"})
USAGE = Usage(prompt_tokens=3, cached_tokens=1, completion_tokens=2)
CALL = ToolCall("call_1", "weather", '{"city":"Paris"}')


def events(chunks: Sequence[Chunk], reason: FinishReason = "stop") -> list[dict[str, Any]]:
    made = render.Events(BODY, "resp_1", 17)
    return [event for chunk in chunks for event in made.of(chunk)] + list(
        made.end(reason, USAGE, {})
    )


def test_a_whole_response() -> None:
    body = render.response(BODY, "resp_1", 17, Choice("Hi", "stop"), USAGE)

    assert body["output"] == [
        {
            "type": "message",
            "id": "msg_1_0",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}],
        }
    ]
    assert body["status"] == "completed"
    assert body["error"] is None
    assert (body["tools"], body["tool_choice"], body["parallel_tool_calls"]) == ([], "auto", True)
    assert body["text"] == {"format": {"type": "text"}}
    assert body["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5,
    }


def test_a_cut_response_is_incomplete() -> None:
    body = render.response(BODY, "resp_1", 17, Choice("Hi", "length"), USAGE)

    assert body["status"] == "incomplete"
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}


def test_the_events_of_a_text() -> None:
    made = events([Chunk("H"), Chunk("i"), Chunk(finish_reason="stop")])

    assert [event["type"].removeprefix("response.") for event in made] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in made] == list(range(len(made)))
    assert {event.get("item_id", "msg_1_0") for event in made} == {"msg_1_0"}
    assert made[6]["text"] == "Hi"
    whole = render.response(BODY, "resp_1", 17, Choice("Hi", "stop"), USAGE)
    assert made[-1]["response"] == whole


def test_the_events_of_a_call() -> None:
    made = events([Chunk(tool_calls=(CALL,), finish_reason="tool_calls")], "tool_calls")

    assert [event["type"].removeprefix("response.") for event in made] == [
        "created",
        "in_progress",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    choice = Choice("", "tool_calls", tool_calls=(CALL,))
    assert made[-1]["response"] == render.response(BODY, "resp_1", 17, choice, USAGE)
    (item,) = made[-1]["response"]["output"]
    assert (item["call_id"], item["arguments"]) == ("call_1", '{"city":"Paris"}')


def test_text_before_a_call_is_an_item_of_its_own() -> None:
    made = events(
        [Chunk("I look."), Chunk(tool_calls=(CALL,), finish_reason="tool_calls")], "tool_calls"
    )

    added = [event["output_index"] for event in made if event["type"].endswith("item.added")]
    assert added == [0, 1]
    choice = Choice("I look.", "tool_calls", tool_calls=(CALL,))
    assert made[-1]["response"] == render.response(BODY, "resp_1", 17, choice, USAGE)


def test_an_empty_text_is_still_a_message() -> None:
    made = events([Chunk(finish_reason="length")], "length")

    assert made[-1]["type"] == "response.incomplete"
    assert made[-1]["response"]["output"][0]["content"][0]["text"] == ""
