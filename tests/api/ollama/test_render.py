"""How answers look on the wire."""

import pytest

from canteen.api.ollama import render
from canteen.core.errors import ContextTooLong, InvalidOutput, InvalidRequest, Overloaded
from canteen.core.generation import (
    Choice,
    Chunk,
    Completion,
    Embeddings,
    TokenLogprob,
    ToolCall,
    Usage,
)
from canteen.core.model import Progress

NOW = "2026-11-01T12:00:00.000000Z"
USAGE = Usage(prompt_tokens=3, completion_tokens=2, load_s=0.25, prefill_s=0.5, decode_s=1.5)
COUNTS = {
    "total_duration": 2_250_000_000,
    "load_duration": 250_000_000,
    "prompt_eval_count": 3,
    "prompt_eval_duration": 500_000_000,
    "eval_count": 2,
    "eval_duration": 1_500_000_000,
}
CALL = ToolCall("call_1", "get_weather", '{"city":"Paris"}')
WIRE_CALL = {
    "id": "call_1",
    "function": {"index": 0, "name": "get_weather", "arguments": {"city": "Paris"}},
}


def test_a_whole_chat_has_all_counts_as_integers() -> None:
    completion = Completion((Choice("Hello", "stop"),), USAGE)

    body = render.whole("m", render.chatted, completion, 2.25, NOW)

    assert body == {
        "model": "m",
        "created_at": NOW,
        "message": {"role": "assistant", "content": "Hello"},
        "done": True,
        "done_reason": "stop",
        **COUNTS,
    }
    assert all(isinstance(body[key], int) for key in COUNTS)


def test_the_lines_of_a_prompt_are_pieces_and_an_end() -> None:
    lines = render.Lines("m", render.generated)

    (piece,) = lines.of(Chunk("Hel"), NOW)
    last = lines.last("length", USAGE, 2.25, NOW)

    assert piece == {"model": "m", "created_at": NOW, "response": "Hel", "done": False}
    assert last == {
        "model": "m",
        "created_at": NOW,
        "response": "",
        "done": True,
        "done_reason": "length",
        **COUNTS,
    }


def test_a_chunk_that_says_nothing_is_no_line() -> None:
    assert list(render.Lines("m", render.chatted).of(Chunk(finish_reason="stop"), NOW)) == []


def test_tool_calls_have_these_keys_and_no_others() -> None:
    lines = render.Lines("m", render.chatted)

    first, second = [line for _ in range(2) for line in lines.of(Chunk(tool_calls=(CALL,)), NOW)]

    assert first["message"] == {"role": "assistant", "content": "", "tool_calls": [WIRE_CALL]}
    assert second["message"]["tool_calls"][0]["function"]["index"] == 1
    assert lines.last("tool_calls", USAGE, 1, NOW)["done_reason"] == "stop"


def test_arguments_that_are_no_object_are_an_error() -> None:
    lines = render.Lines("m", render.chatted)

    with pytest.raises(InvalidOutput):
        list(lines.of(Chunk(tool_calls=(ToolCall("1", "f", "[1]"),)), NOW))


def test_logprobs_stand_beside_the_text() -> None:
    token = TokenLogprob("Hé", -0.5, "Hé".encode(), (TokenLogprob("Ho", -1.5, b"Ho"),))

    (line,) = render.Lines("m", render.generated).of(Chunk("Hé", logprobs=(token,)), NOW)

    top = {"token": "Ho", "logprob": -1.5, "bytes": [72, 111]}
    assert line["logprobs"] == [
        {"token": "Hé", "logprob": -0.5, "bytes": [72, 195, 169], "top_logprobs": [top]}
    ]


def test_what_was_cut_is_told_and_nothing_otherwise() -> None:
    lines = render.Lines("m", render.generated)

    assert lines.last("stop", Usage(truncated_tokens=7), 1, NOW)["truncated_tokens"] == 7
    assert "truncated_tokens" not in lines.last("stop", USAGE, 1, NOW)


def test_an_embedding_has_its_counts() -> None:
    made = Embeddings(((0.6, 0.8),), Usage(prompt_tokens=2, load_s=0.5, truncated_tokens=1))

    assert render.embedded("m", made, 1.0) == {
        "model": "m",
        "embeddings": [[0.6, 0.8]],
        "total_duration": 1_000_000_000,
        "load_duration": 500_000_000,
        "prompt_eval_count": 2,
        "truncated_tokens": 1,
    }


def test_a_step_has_bytes_only_where_there_are_some() -> None:
    assert render.progress(Progress("success")) == {"status": "success"}
    assert render.progress(Progress("pulling 0123", "sha256:0123", 5, 9)) == {
        "status": "pulling 0123",
        "digest": "sha256:0123",
        "total": 9,
        "completed": 5,
    }


def test_an_error_is_a_string_and_a_long_prompt_has_its_numbers() -> None:
    assert render.error_body(InvalidRequest("change it"), 400) == {"error": "change it"}
    assert render.error_body(Overloaded("busy", retry_after_s=1), 503) == {"error": "busy"}
    long = ContextTooLong(9000, 8192)
    assert render.error_body(long, 400) == {
        "error": long.message,
        "prompt_tokens": 9000,
        "n_ctx": 8192,
    }
    assert render.late_error(long).keys() == {"error"}
