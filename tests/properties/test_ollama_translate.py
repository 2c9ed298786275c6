"""Whatever is asked and answered, the dialect's translation keeps its promises."""

import json
import math
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from canteen.api.ollama import durations, render, translate
from canteen.api.ollama.schema import (
    CreateRequest,
    EmbedRequest,
    GenerateRequest,
    OllamaChatRequest,
    Options,
)
from canteen.api.ollama.translate import Asked
from canteen.api.streaming import json_bytes
from canteen.core.errors import InvalidRequest
from canteen.core.generation import Choice, Chunk, Completion, ToolCall, Usage
from tests.cards import card

# Time says nothing here but how busy the machine is.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NOW = "2026-11-01T12:00:00Z"
CARD = card(context_length=8192, template="{{ messages }}")
ASKED = Asked("id", CARD, ("completion", "tools"), "someone")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
OPTIONS = st.dictionaries(st.sampled_from(sorted(Options.model_fields)), JSON, max_size=4)
PIECES = st.lists(st.text(min_size=1, max_size=6), max_size=8)
OBJECTS = st.dictionaries(st.text(max_size=4), JSON, max_size=3)
CALLS = st.lists(
    st.builds(
        ToolCall, st.uuids().map(str), st.text(min_size=1, max_size=8), OBJECTS.map(json.dumps)
    ),
    max_size=3,
)


def check(sampling: Any) -> None:
    assert math.isfinite(sampling.temperature)
    assert sampling.temperature >= 0
    assert 0 <= sampling.top_p <= 1
    assert sampling.max_tokens is None or sampling.max_tokens >= 1
    assert sampling.top_k is None or sampling.top_k >= 1
    assert sampling.seed is None or sampling.seed >= 0
    assert sampling.repetition_penalty > 0


@unhurried
@given(
    st.dictionaries(st.sampled_from(sorted(OllamaChatRequest.model_fields)), JSON, max_size=5),
    OPTIONS,
)
def test_any_json_is_a_valid_chat_or_a_refusal(keys: dict[str, Any], options: Any) -> None:
    usual: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}

    try:
        body = OllamaChatRequest.model_validate(usual | {"options": options} | keys)
        request = translate.chat(body, ASKED)
    except (ValidationError, InvalidRequest):
        return

    check(request.sampling)
    assert request.keep_alive_s is None or request.keep_alive_s >= 0


@unhurried
@given(
    st.dictionaries(st.sampled_from(sorted(GenerateRequest.model_fields)), JSON, max_size=5),
    OPTIONS,
)
def test_any_json_is_a_valid_prompt_or_a_refusal(keys: dict[str, Any], options: Any) -> None:
    usual: dict[str, Any] = {"model": "m", "prompt": "hello", "options": options}

    try:
        request = translate.generate(GenerateRequest.model_validate(usual | keys), ASKED)
    except (ValidationError, InvalidRequest):
        return

    check(request.sampling)
    assert (request.prompt is None) == bool(request.messages)


@unhurried
@given(st.dictionaries(st.sampled_from(sorted(EmbedRequest.model_fields)), JSON, max_size=4))
def test_any_json_is_valid_inputs_or_a_refusal(keys: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"model": "m", "input": "hello"}

    try:
        request = translate.embed(EmbedRequest.model_validate(usual | keys), ASKED)
    except (ValidationError, InvalidRequest):
        return

    assert all(isinstance(text, str) for text in request.inputs)
    assert request.keep_alive_s is None or request.keep_alive_s >= 0


@unhurried
@given(st.dictionaries(st.sampled_from(sorted(CreateRequest.model_fields)), JSON, max_size=4))
def test_any_json_is_a_new_model_or_a_refusal(keys: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"model": "m", "from": "echo"}

    try:
        own = translate.creation(CreateRequest.model_validate(usual | keys))
    except (ValidationError, InvalidRequest):
        return

    assert own.keys() <= {"template", "system", "license", "parameters", "messages"}
    assert json.loads(json.dumps(own)) is not None


@unhurried
@given(OPTIONS, OPTIONS)
def test_the_requests_options_win_over_the_models(given: Any, own: Any) -> None:
    try:
        options = Options.model_validate(given)
        merged = translate.merged(options, Options.model_validate(own).model_dump())
    except ValidationError:
        return

    for key in options.model_fields_set:
        assert getattr(merged, key) == getattr(options, key)


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_duration_of_go_is_the_sum_of_its_parts(h: int, m: int, s: int, ms: int) -> None:
    total_s = h * 3600 + m * 60 + s + ms / 1000

    parsed = durations.seconds(f"{h}h{m}m{s}s{ms}ms")

    assert parsed == (math.inf if total_s > durations.LONGEST_S else parsed)
    assert parsed == math.inf or math.isclose(parsed, total_s, abs_tol=1e-6)


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_a_refusal(text: str) -> None:
    try:
        parsed = durations.seconds(text)
    except ValueError:
        return

    assert parsed >= 0


@unhurried
@given(PIECES, CALLS)
def test_the_lines_of_a_chat_add_up_to_the_chat(pieces: list[str], calls: list[ToolCall]) -> None:
    lines = render.Lines("m", render.chatted)
    chunks = [*map(Chunk, pieces), *(Chunk(tool_calls=(call,)) for call in calls)]
    completion = Completion((Choice("".join(pieces), "stop", (), tuple(calls)),), Usage())

    said = [line["message"] for chunk in chunks for line in lines.of(chunk, NOW)]
    whole = render.whole("m", render.chatted, completion, 1.0, NOW)["message"]

    assert "".join(message["content"] for message in said) == whole["content"]
    together = [call for message in said for call in message.get("tool_calls", [])]
    assert together == whole.get("tool_calls", [])


@unhurried
@given(st.text(max_size=20))
def test_a_line_is_one_line_whatever_is_said(text: str) -> None:
    (line,) = [*render.Lines("m", render.generated).of(Chunk(f"x{text}"), NOW)]

    raw = json_bytes(line)

    assert b"\n" not in raw
    assert json.loads(raw)["response"] == f"x{text}"
