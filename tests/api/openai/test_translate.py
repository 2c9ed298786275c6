"""What a client's body means, and what is refused with the name of the key."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from canteen.api.openai import translate
from canteen.api.openai.schema import ChatRequest, CompletionRequest, EmbeddingsRequest
from canteen.core.errors import InvalidRequest
from canteen.core.generation import (
    GenerationRequest,
    Grammar,
    Message,
    SamplingParams,
    Tool,
    ToolCall,
    ToolChoice,
)

HELLO = [{"role": "user", "content": "hello"}]
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Current weather", "parameters": SCHEMA},
}


def chat(**keys: Any) -> GenerationRequest:
    body = ChatRequest.model_validate({"model": "m", "messages": HELLO} | keys)
    return translate.chat(body, "chatcmpl-1", "someone")


def completions(**keys: Any) -> tuple[GenerationRequest, ...]:
    body = CompletionRequest.model_validate({"model": "m", "prompt": "Once"} | keys)
    return translate.completions(body, "cmpl-1", "someone")


def refused_param(**keys: Any) -> str | None:
    with pytest.raises(InvalidRequest) as caught:
        chat(**keys)
    return caught.value.param


def test_a_plain_chat_gets_the_dialects_defaults() -> None:
    request = chat()

    assert request == GenerationRequest(
        id="chatcmpl-1",
        model="m",
        messages=(Message("user", "hello"),),
        sampling=SamplingParams(temperature=1.0, top_p=1.0),
        is_streamed=False,
        caller_id="someone",
    )


def test_every_sampling_key_arrives_under_our_name() -> None:
    request = chat(
        temperature=0,
        top_p=0.5,
        top_k=20,
        min_p=0.1,
        seed=7,
        stop="END",
        max_tokens=5,
        presence_penalty=-2,
        frequency_penalty=2,
        repeat_penalty=1.1,
        ignore_eos=True,
        n=3,
        logprobs=True,
        top_logprobs=4,
        stream=True,
    )

    assert request.sampling == SamplingParams(
        max_tokens=5,
        temperature=0.0,
        top_p=0.5,
        top_k=20,
        min_p=0.1,
        seed=7,
        stop=("END",),
        presence_penalty=-2,
        frequency_penalty=2,
        repetition_penalty=1.1,
        ignore_eos=True,
    )
    assert (request.n, request.logprobs, request.top_logprobs) == (3, True, 4)
    assert request.is_streamed


@pytest.mark.parametrize(
    ("keys", "max_tokens"),
    [
        ({"max_completion_tokens": 3, "max_tokens": 5, "num_predict": 7}, 3),
        ({"max_tokens": 5, "num_predict": 7}, 5),
        ({"num_predict": 7}, 7),
        ({"num_predict": -1}, None),
        ({"max_tokens": 16.0}, 16),
        ({}, None),
    ],
)
def test_the_most_official_limit_counts(keys: dict[str, Any], max_tokens: int | None) -> None:
    assert chat(**keys).sampling.max_tokens == max_tokens


@pytest.mark.parametrize(("tier", "priority"), [("flex", "batch"), ("default", "interactive")])
def test_the_cheap_tier_is_batch_work(tier: str, priority: str) -> None:
    assert chat(service_tier=tier).priority == priority


def test_null_means_absent_at_every_depth() -> None:
    request = chat(
        temperature=None,
        stop=None,
        tools=None,
        stream_options={"include_usage": None},
        messages=[{"role": "user", "content": "hello", "name": None, "tool_calls": None}],
    )

    assert request == chat()


def test_a_developer_is_a_system() -> None:
    messages = chat(messages=[{"role": "developer", "content": "Be terse."}, *HELLO]).messages

    assert messages[0] == Message("system", "Be terse.")


def test_parts_of_text_are_joined() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]

    assert chat(messages=[{"role": "user", "content": parts}]).messages[0].content == "one\ntwo"


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file"])
def test_a_part_that_is_not_text_is_refused_by_name(kind: str) -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": kind, kind: {"url": "data:"}}]

    with pytest.raises(InvalidRequest, match=kind) as caught:
        chat(messages=[{"role": "user", "content": parts}])

    assert caught.value.param == "messages[0].content[1].type"


def test_a_history_of_calls_and_results_is_kept() -> None:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
    }
    messages = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "18 C", "tool_call_id": "call_1"},
    ]

    _, assistant, tool = chat(messages=messages).messages

    expected = ToolCall("call_1", "get_weather", '{"city":"Paris"}')
    assert assistant == Message("assistant", "", tool_calls=(expected,))
    assert tool == Message("tool", "18 C", tool_call_id="call_1")


@pytest.mark.parametrize(
    ("wanted", "choice"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        (
            {"type": "function", "function": {"name": "get_weather"}},
            ToolChoice("named", "get_weather"),
        ),
    ],
)
def test_tools_and_the_choice_among_them_arrive(wanted: Any, choice: ToolChoice) -> None:
    request = chat(tools=[WEATHER], tool_choice=wanted, parallel_tool_calls=False)

    assert request.tools == (Tool("get_weather", "Current weather", SCHEMA),)
    assert request.tool_choice == choice
    assert not request.parallel_tool_calls


@pytest.mark.parametrize(
    ("wanted", "grammar"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, Grammar("json_object")),
        (
            {
                "type": "json_schema",
                "json_schema": {"name": "x", "strict": False, "schema": SCHEMA},
            },
            Grammar("json_schema", json.dumps(SCHEMA)),
        ),
    ],
)
def test_a_response_format_is_a_grammar(wanted: Any, grammar: Grammar | None) -> None:
    assert chat(response_format=wanted).grammar == grammar


def test_a_negative_seed_is_folded_into_what_generators_take() -> None:
    seed = chat(seed=-1).sampling.seed

    assert seed is not None
    assert seed >= 0
    assert seed == chat(seed=-1).sampling.seed


def test_keys_that_would_be_ignored_to_the_callers_harm_are_refused() -> None:
    assert refused_param(logit_bias={"50256": -100}) == "logit_bias"
    assert refused_param(functions=[{"name": "f"}]) == "functions"
    assert refused_param(audio={"voice": "alloy"}) == "audio"
    assert refused_param(top_logprobs=2) == "top_logprobs"
    assert refused_param(response_format={"type": "json_schema"}) == "response_format.json_schema"


def test_keys_without_an_effect_here_are_ignored() -> None:
    ignored = {"user": "u", "store": True, "reasoning_effort": "high", "verbosity": "low"}

    assert chat(**ignored, logit_bias={}) == chat()


@pytest.mark.parametrize(
    "keys",
    [
        {"n": 0},
        {"n": 33},
        {"n": 10**30},
        {"n": True},
        {"temperature": -0.1},
        {"temperature": 2.1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"temperature": "0.5"},
        {"top_p": 0},
        {"top_p": 1.1},
        {"max_tokens": 0},
        {"max_tokens": -1},
        {"max_tokens": 1.5},
        {"max_tokens": 1e308},
        {"max_tokens": "5"},
        {"presence_penalty": 2.1},
        {"frequency_penalty": -2.1},
        {"repetition_penalty": 0},
        {"top_logprobs": 21},
        {"seed": 2**63},
        {"stop": ["x"] * 17},
        {"stop": [1]},
        {"messages": []},
        {"messages": "hello"},
        {"messages": [{"role": "wizard", "content": "hello"}]},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": [{"content": "hello"}]},
        {"model": ""},
        {"model": 5},
        {"stream": "yes"},
        {"tools": [{"type": "web_search"}]},
        {"tool_choice": "sometimes"},
        {"response_format": {"type": "xml"}},
    ],
    ids=str,
)
def test_absurd_values_do_not_pass_the_door(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        chat(**keys)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [(1, 2)]),
        ([[1, 2], [3]], [(1, 2), (3,)]),
    ],
)
def test_each_prompt_is_a_request_with_an_id_of_its_own(prompt: Any, expected: Any) -> None:
    requests = completions(prompt=prompt)

    found = [one.prompt if one.prompt_tokens is None else one.prompt_tokens for one in requests]
    assert found == expected
    assert len({request.id for request in requests}) == len(requests)


@pytest.mark.parametrize(
    ("keys", "param"),
    [
        ({"echo": True}, "echo"),
        ({"suffix": "the end"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": ["x"] * 129}, "prompt"),
    ],
)
def test_a_completion_says_what_it_cannot_do(keys: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        completions(**keys)

    assert caught.value.param == param


def test_a_count_of_logprobs_is_a_count_of_alternatives() -> None:
    (request,) = completions(logprobs=0)
    assert (request.logprobs, request.top_logprobs) == (True, 0)

    (request,) = completions(logprobs=3)
    assert (request.logprobs, request.top_logprobs) == (True, 3)


def test_inputs_to_embed_are_texts_or_tokens() -> None:
    body = EmbeddingsRequest.model_validate({"model": "m", "input": [[1, 2], [3]], "dimensions": 8})

    request = translate.embeddings(body, "embd-1", "someone")

    assert request.inputs == ((1, 2), (3,))
    assert request.dimensions == 8
    assert not request.truncate
