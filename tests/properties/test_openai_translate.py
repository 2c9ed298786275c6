"""Whatever is asked and answered, the dialect's translation keeps its promises."""

import base64
import json
import struct
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from canteen.api.openai import render, translate
from canteen.api.openai.responses import render as responses
from canteen.api.openai.responses import translate as from_response
from canteen.api.openai.responses.schema import ResponseRequest
from canteen.api.openai.schema import (
    MOST_INPUTS,
    MOST_PROMPTS,
    ChatRequest,
    CompletionRequest,
    EmbeddingsRequest,
)
from canteen.core.errors import InvalidRequest
from canteen.core.generation import Chunk, Embeddings, ToolCall, Usage

# Time says nothing here but how busy the machine is.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
KEYS = sorted(ChatRequest.model_fields)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FLOAT32 = st.floats(-1, 1, width=32)
VECTORS = st.integers(1, 8).flatmap(
    lambda size: st.lists(st.tuples(*[FLOAT32] * size), min_size=1, max_size=3)
)
PIECES = st.lists(st.text(min_size=1, max_size=6), max_size=8)
CALLS = st.lists(
    st.builds(ToolCall, st.uuids().map(str), st.text(min_size=1, max_size=8), JSON.map(json.dumps)),
    max_size=3,
)


@unhurried
@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6))
def test_any_json_is_a_valid_request_or_a_refusal(keys: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}

    try:
        request = translate.chat(ChatRequest.model_validate(usual | keys), "id", "someone")
    except (ValidationError, InvalidRequest):
        return

    sampling = request.sampling
    assert 1 <= request.n <= 32
    assert 0 <= sampling.temperature <= 2
    assert 0 < sampling.top_p <= 1
    assert sampling.max_tokens is None or sampling.max_tokens >= 1
    assert sampling.seed is None or sampling.seed >= 0
    assert request.messages


@unhurried
@given(st.dictionaries(st.sampled_from(sorted(CompletionRequest.model_fields)), JSON, max_size=6))
def test_any_json_is_valid_prompts_or_a_refusal(keys: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"model": "m", "prompt": "hello"}

    try:
        body = CompletionRequest.model_validate(usual | keys)
        requests = translate.completions(body, "id", "someone")
    except (ValidationError, InvalidRequest):
        return

    assert 1 <= len(requests) <= MOST_PROMPTS
    assert len({request.id for request in requests}) == len(requests)
    assert all((one.prompt is None) != (one.prompt_tokens is None) for one in requests)


@unhurried
@given(st.dictionaries(st.sampled_from(sorted(ResponseRequest.model_fields)), JSON, max_size=6))
def test_any_json_is_a_valid_response_request_or_a_refusal(keys: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"model": "m", "input": "hello"}

    try:
        body = ResponseRequest.model_validate(usual | keys)
        request = from_response.generation(body, "id", "someone")
    except (ValidationError, InvalidRequest):
        return

    assert 0 <= request.sampling.temperature <= 2
    assert request.sampling.max_tokens is None or request.sampling.max_tokens >= 1


@unhurried
@given(st.dictionaries(st.sampled_from(sorted(EmbeddingsRequest.model_fields)), JSON, max_size=3))
def test_any_json_is_valid_inputs_or_a_refusal(keys: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"model": "m", "input": "hello"}

    try:
        body = EmbeddingsRequest.model_validate(usual | keys)
        request = translate.embeddings(body, "id", "someone")
    except (ValidationError, InvalidRequest):
        return

    assert 1 <= len(request.inputs) <= MOST_INPUTS
    assert request.dimensions is None or request.dimensions >= 1


@unhurried
@given(PIECES, CALLS)
def test_the_deltas_of_a_chat_add_up_to_the_chat(pieces: list[str], calls: list[ToolCall]) -> None:
    frames = render.ChatFrames("chatcmpl-1", 17, "m")
    chunks = [Chunk(piece) for piece in pieces]
    chunks.append(Chunk(tool_calls=tuple(calls), finish_reason="stop"))

    content = ""
    heard: list[ToolCall] = []
    for chunk in chunks:
        for frame in frames.of(chunk):
            delta = frame["choices"][0]["delta"]
            content += delta.get("content", "")
            for call in delta.get("tool_calls", []):
                heard = _heard(heard, call)

    assert content == "".join(pieces)
    assert heard == calls


def _heard(heard: list[ToolCall], call: dict[str, Any]) -> list[ToolCall]:
    """What a client that concatenates arguments has after one more delta."""
    function = call["function"]
    if call["index"] == len(heard):
        return [*heard, ToolCall(call["id"], function["name"], function["arguments"])]
    last = heard[-1]
    assert call.keys() == {"index", "function"}
    return [*heard[:-1], ToolCall(last.id, last.name, last.arguments + function["arguments"])]


@unhurried
@given(PIECES, CALLS)
def test_events_are_numbered_and_end_with_what_was_said(
    pieces: list[str], calls: list[ToolCall]
) -> None:
    body = ResponseRequest.model_validate({"model": "m", "input": "hello"})
    made = responses.Events(body, "resp_1", 17)
    chunks = [Chunk(piece) for piece in pieces] + [Chunk(tool_calls=tuple(calls))]

    events = [event for chunk in chunks for event in made.of(chunk)]
    events += made.end("stop", Usage(), {})

    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    output = events[-1]["response"]["output"]
    assert output == [event["item"] for event in events if event["type"].endswith("item.done")]
    said = "".join(item["content"][0]["text"] for item in output if item["type"] == "message")
    assert said == "".join(pieces)
    assert [item["call_id"] for item in output if item["type"] != "message"] == [
        call.id for call in calls
    ]


@unhurried
@given(VECTORS)
def test_base64_holds_the_same_numbers_as_floats(vectors: list[tuple[float, ...]]) -> None:
    made = Embeddings(tuple(vectors), Usage())

    floats = render.embeddings(made, "m", "float")["data"]
    packed = render.embeddings(made, "m", "base64")["data"]

    for plain, code in zip(floats, packed, strict=True):
        raw = base64.b64decode(code["embedding"])
        assert list(struct.unpack(f"<{len(raw) // 4}f", raw)) == plain["embedding"]
