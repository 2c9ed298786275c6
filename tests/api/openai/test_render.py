"""The exact shapes that clients read."""

import base64
import struct

import pytest

from canteen.api.openai import render
from canteen.core.errors import (
    CanteenError,
    Forbidden,
    InvalidRequest,
    ModelNotFound,
    NotSupported,
    Overloaded,
    WorkerDied,
)
from canteen.core.generation import (
    Choice,
    Chunk,
    Completion,
    Embeddings,
    TokenLogprob,
    ToolCall,
    Usage,
)
from canteen.core.model import ModelCard

USAGE = Usage(prompt_tokens=3, cached_tokens=1, completion_tokens=2)
USAGE_BODY = {
    "prompt_tokens": 3,
    "completion_tokens": 2,
    "total_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
CALL = ToolCall("call_1", "get_weather", '{"city":"Paris"}')
LOGPROB = TokenLogprob("é", -0.5, "é".encode(), (TokenLogprob("e", -1.0, b"e"),))


def test_a_whole_chat() -> None:
    completion = Completion((Choice("Hi", "length"),), USAGE)

    assert render.chat(completion, "chatcmpl-1", 17, "m") == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 17,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi"},
                "finish_reason": "length",
            }
        ],
        "usage": USAGE_BODY,
    }


def test_a_call_has_its_arguments_as_text_and_no_content() -> None:
    completion = Completion((Choice("", "tool_calls", tool_calls=(CALL,)),), USAGE)

    (choice,) = render.chat(completion, "chatcmpl-1", 17, "m")["choices"]

    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
            }
        ],
    }


def test_logprobs_have_bytes_and_alternatives() -> None:
    completion = Completion((Choice("é", "stop", (LOGPROB,)),), USAGE)

    (choice,) = render.chat(completion, "chatcmpl-1", 17, "m")["choices"]

    assert choice["logprobs"] == {
        "content": [
            {
                "token": "é",
                "logprob": -0.5,
                "bytes": [195, 169],
                "top_logprobs": [{"token": "e", "logprob": -1.0, "bytes": [101]}],
            }
        ]
    }


def test_frames_are_roles_then_content_then_ends() -> None:
    frames = render.ChatFrames("chatcmpl-1", 17, "m", n=2)
    chunks = [Chunk("Hi", 1), Chunk(index=1, finish_reason="stop"), Chunk(finish_reason="stop")]

    made = [frame for chunk in chunks for frame in frames.of(chunk)]

    deltas = [
        (choice["index"], choice["delta"], choice["finish_reason"])
        for frame in made
        for choice in frame["choices"]
    ]
    assert deltas == [
        (0, {"role": "assistant"}, None),
        (1, {"role": "assistant"}, None),
        (1, {"content": "Hi"}, None),
        (1, {}, "stop"),
        (0, {}, "stop"),
    ]
    same = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 17, "model": "m"}
    assert all(frame.items() >= same.items() and "usage" not in frame for frame in made)


def test_a_streamed_call_says_its_id_and_name_once() -> None:
    frames = render.ChatFrames("chatcmpl-1", 17, "m")
    chunk = Chunk(tool_calls=(CALL, CALL), finish_reason="tool_calls")

    deltas = [frame["choices"][0]["delta"] for frame in frames.of(chunk)][1:-1]

    opening = {
        "index": 0,
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": ""},
    }
    rest = {"index": 0, "function": {"arguments": '{"city":"Paris"}'}}
    assert deltas == [
        {"tool_calls": [opening]},
        {"tool_calls": [rest]},
        {"tool_calls": [opening | {"index": 1}]},
        {"tool_calls": [rest | {"index": 1}]},
    ]


def test_the_usage_frame_has_no_choices() -> None:
    frame = render.ChatFrames("chatcmpl-1", 17, "m").usage(USAGE)

    assert frame["choices"] == []
    assert frame["usage"] == USAGE_BODY


def test_a_completions_logprobs_are_parallel_lists_with_offsets_over_frames() -> None:
    frames = render.CompletionFrames("cmpl-1", 17, "m")

    first, second = (
        frame["choices"][0]["logprobs"]
        for chunk in (Chunk("é", logprobs=(LOGPROB,)), Chunk("é", logprobs=(LOGPROB,)))
        for frame in frames.of(chunk)
    )

    assert first == {
        "tokens": ["é"],
        "token_logprobs": [-0.5],
        "top_logprobs": [{"e": -1.0}],
        "text_offset": [0],
    }
    assert second["text_offset"] == [1]


def test_base64_is_little_endian_float32() -> None:
    made = Embeddings(((0.5, -1.0), (0.1, 0.2)), USAGE)

    body = render.embeddings(made, "m", "base64")

    packed = base64.b64decode(body["data"][1]["embedding"])
    assert struct.unpack("<2f", packed) == pytest.approx((0.1, 0.2))
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


def test_a_models_creation_is_in_whole_seconds() -> None:
    card = ModelCard(
        name="m:latest",
        kind="generator",
        digest="",
        engine="echo",
        folder="",
        source="builtin:echo",
        format="",
        architecture="",
        num_parameters=0,
        context_length=1,
        size_bytes=0,
        quantization="",
        modified_at="1970-01-01T00:00:17.9Z",
    )

    assert render.models([card]) == {
        "object": "list",
        "data": [{"id": "m:latest", "object": "model", "created": 17, "owned_by": "canteen"}],
    }


@pytest.mark.parametrize(
    ("error", "status", "kind", "param", "code"),
    [
        (InvalidRequest("no", param="n"), 400, "invalid_request_error", "n", "invalid_request"),
        (Forbidden("no"), 403, "permission_error", None, "forbidden"),
        (ModelNotFound("x"), 404, "not_found_error", "model", "model_not_found"),
        (InvalidRequest("big"), 413, "invalid_request_error", None, "invalid_request"),
        (WorkerDied("gone"), 500, "server_error", None, "worker_died"),
        (NotSupported("no", param="x"), 501, "server_error", "x", "not_supported"),
        (Overloaded("full", retry_after_s=1), 503, "overloaded_error", None, "overloaded"),
        (
            Overloaded("soon", retry_after_s=1, code="model_loading"),
            503,
            "overloaded_error",
            None,
            "model_loading",
        ),
    ],
)
def test_an_error_has_all_four_keys(
    error: CanteenError, status: int, kind: str, param: str | None, code: str
) -> None:
    assert render.error_body(error, status) == {
        "error": {"message": error.message, "type": kind, "param": param, "code": code}
    }
