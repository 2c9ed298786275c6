"""Answers as the dialect has them, whole and as events."""

from typing import Any

import pytest

from canteen.api.anthropic import render
from canteen.core.errors import InvalidRequest, ModelNotFound, Overloaded
from canteen.core.generation import Choice, Chunk, ToolCall, Usage

USAGE = Usage(prompt_tokens=10, cached_tokens=6, completion_tokens=3)
CALL = ToolCall("t1", "weather", '{"city":"Rome"}')


def events(*chunks: Chunk, more: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    made = render.Events("msg_1", "m")
    said = [event for chunk in chunks for event in made.of(chunk)]
    return said + list(made.end(USAGE, more or {}))


def test_a_whole_answer_has_its_text_its_calls_and_its_counts() -> None:
    choice = Choice("Let me look.", "tool_calls", tool_calls=(CALL,))

    assert render.message(choice, "msg_1", "m", USAGE) == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Rome"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 4,
            "output_tokens": 3,
            "cache_read_input_tokens": 6,
            "cache_creation_input_tokens": 0,
        },
    }


@pytest.mark.parametrize(
    ("choice", "reason", "sequence"),
    [
        (Choice("a", "stop"), "end_turn", None),
        (Choice("a", "length"), "max_tokens", None),
        (Choice("a", "stop", stop_sequence="END"), "stop_sequence", "END"),
    ],
)
def test_an_answer_tells_why_it_ended(choice: Choice, reason: str, sequence: str | None) -> None:
    said = render.message(choice, "msg_1", "m", USAGE)

    assert (said["stop_reason"], said["stop_sequence"]) == (reason, sequence)


def test_arguments_that_are_no_object_become_one() -> None:
    said = render.message(
        Choice("", "tool_calls", tool_calls=(ToolCall("t1", "weather", "[1]"),)), "i", "m", USAGE
    )

    assert said["content"][0]["input"] == {"arguments": [1]}


def test_a_stream_is_a_block_of_text_and_one_for_each_call() -> None:
    made = events(
        Chunk("Let me"),
        Chunk(" look."),
        Chunk(tool_calls=(CALL,), finish_reason="tool_calls", usage=USAGE),
    )

    assert [(event["type"], event.get("index")) for event in made] == [
        ("message_start", None),
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("message_delta", None),
        ("message_stop", None),
    ]
    assert made[0]["message"]["content"] == []
    assert made[0]["message"]["stop_reason"] is None
    assert made[6]["delta"] == {"type": "input_json_delta", "partial_json": '{"city": "Rome"}'}
    assert made[8]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert made[8]["usage"]["input_tokens"] == 4


def test_the_event_of_the_usage_has_the_receipt() -> None:
    made = events(Chunk("a", finish_reason="stop"), more={"footprint": {"id": "r"}})

    assert [event["type"] for event in made if "footprint" in event] == ["message_delta"]


def test_an_empty_answer_is_no_block() -> None:
    assert [event["type"] for event in events(Chunk(finish_reason="stop"))] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InvalidRequest("no", param="top_p"), 400, "invalid_request_error"),
        (InvalidRequest("no", param="top_p"), 422, "invalid_request_error"),
        (ModelNotFound("m"), 404, "not_found_error"),
        (Overloaded("later", retry_after_s=1), 503, "overloaded_error"),
        (InvalidRequest("no"), 500, "api_error"),
    ],
)
def test_errors_are_told_apart_by_their_type(error: InvalidRequest, status: int, kind: str) -> None:
    said = render.error_body(error, status)

    assert said["type"] == "error"
    assert said["error"] == {"type": kind, "message": error.message}
    assert said["code"] == error.code
