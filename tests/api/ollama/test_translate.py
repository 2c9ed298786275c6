"""What a client's body means, and what is refused with the name of the key."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from canteen.api.ollama import translate
from canteen.api.ollama.schema import (
    CreateRequest,
    EmbedRequest,
    GenerateRequest,
    OldEmbeddingsRequest,
    OllamaChatRequest,
)
from canteen.api.ollama.translate import Asked
from canteen.core.errors import InvalidRequest, NotSupported
from canteen.core.generation import (
    GenerationRequest,
    Grammar,
    Message,
    SamplingParams,
    Tool,
    ToolCall,
)
from canteen.core.model import ModelCard
from tests.cards import card

CARD = card(context_length=8192, template="{{ messages }}")
DERIVED = replace(
    CARD,
    parent="base:latest",
    system="Be terse.",
    parameters={"temperature": 0.1, "stop": ["END"], "tokens_per_s": 5},
    messages=({"role": "user", "content": "1+1"}, {"role": "assistant", "content": "2"}),
)
HELLO = [{"role": "user", "content": "hello"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def asked(card: ModelCard = CARD, *capabilities: str) -> Asked:
    return Asked("id", card, ("completion", *capabilities), "someone")


def chat(of: Asked | None = None, **keys: Any) -> GenerationRequest:
    body = OllamaChatRequest.model_validate({"model": "m", "messages": HELLO} | keys)
    return translate.chat(body, of or asked())


def generate(of: Asked | None = None, **keys: Any) -> GenerationRequest:
    body = GenerateRequest.model_validate({"model": "m", "prompt": "Once"} | keys)
    return translate.generate(body, of or asked())


def creation(**keys: Any) -> dict[str, Any]:
    return translate.creation(CreateRequest.model_validate({"model": "n"} | keys))


def test_a_plain_chat_gets_ollamas_defaults() -> None:
    assert chat() == GenerationRequest(
        id="id",
        model="m",
        messages=(Message("user", "hello"),),
        sampling=SamplingParams(temperature=0.8, top_k=40, top_p=0.9),
        is_streamed=True,
        caller_id="someone",
    )


def test_every_option_arrives_under_our_name() -> None:
    options = {
        "num_predict": 7,
        "temperature": 0,
        "top_k": 3,
        "top_p": 0.5,
        "min_p": 0.1,
        "repeat_penalty": 1.2,
        "seed": 42,
        "stop": "END",
        "presence_penalty": 0.3,
        "frequency_penalty": 0.4,
        "num_ctx": 512,
        "mirostat": 2,
        "num_gpu": None,
    }

    request = chat(options=options, keep_alive="1m", truncate=True, stream=False)

    assert request.sampling == SamplingParams(
        max_tokens=7,
        temperature=0,
        top_k=3,
        top_p=0.5,
        min_p=0.1,
        repetition_penalty=1.2,
        seed=42,
        stop=("END",),
        presence_penalty=0.3,
        frequency_penalty=0.4,
    )
    assert request.context_length == 512
    assert request.keep_alive_s == 60
    assert request.truncate
    assert not request.is_streamed


@pytest.mark.parametrize("count", [-2, -1, 0])
def test_counts_that_are_not_positive_mean_no_limit(count: int) -> None:
    sampling = chat(options={"num_predict": count, "top_k": max(count, -1)}).sampling

    assert sampling.max_tokens is None
    assert sampling.top_k is None


def test_a_seed_of_minus_one_is_random_and_others_are_kept() -> None:
    assert chat(options={"seed": -1}).sampling.seed is None
    assert chat(options={"seed": 0}).sampling.seed == 0
    assert chat(options={"seed": -7}).sampling.seed == chat(options={"seed": -7}).sampling.seed


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperature", -1),
        ("temperature", math.nan),
        ("temperature", "hot"),
        ("num_predict", 1e308),
        ("num_predict", 2**31),
        ("num_ctx", -1),
        ("top_p", 1.5),
        ("min_p", -0.1),
        ("repeat_penalty", 0),
        ("seed", 2**63),
        ("stop", [1]),
    ],
)
def test_an_absurd_option_is_refused_by_its_name(key: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        chat(options={key: value})

    assert refused.value.errors()[0]["loc"][:2] == ("options", key)


def test_null_means_absent_at_every_depth() -> None:
    turn = {"role": "user", "content": "hello", "images": None, "tool_calls": None}
    nulls = {"format": None, "keep_alive": None, "tools": None, "think": None, "stream": None}

    assert chat(messages=[turn], options={"temperature": None}, **nulls) == chat()


def test_the_models_own_parameters_are_under_the_requests_options() -> None:
    own = chat(asked(DERIVED)).sampling
    asked_for = chat(asked(DERIVED), options={"temperature": 1}).sampling

    assert (own.temperature, own.stop) == (0.1, ("END",))
    assert (asked_for.temperature, asked_for.stop) == (1, ("END",))


def test_the_models_own_words_come_first() -> None:
    request = chat(asked(DERIVED))

    assert request.messages == (
        Message("system", "Be terse."),
        Message("user", "1+1"),
        Message("assistant", "2"),
        Message("user", "hello"),
    )
    assert request.template == CARD.template


def test_a_system_message_of_the_request_replaces_the_models_and_stays_first() -> None:
    request = chat(asked(DERIVED), messages=[{"role": "system", "content": "Sing."}, *HELLO])

    assert [turn.content for turn in request.messages] == ["Sing.", "1+1", "2", "hello"]


def test_a_prompt_is_a_message_of_the_models_template() -> None:
    request = generate(system="Be kind.")

    assert request.messages == (Message("system", "Be kind."), Message("user", "Once"))
    assert request.prompt is None


def test_a_raw_prompt_is_taken_as_it_is() -> None:
    request = generate(asked(DERIVED), raw=True)

    assert (request.prompt, request.messages) == ("Once", ())


def test_without_a_template_the_prompt_is_plain_text() -> None:
    request = generate(asked(replace(CARD, template="")), system="Be kind.")

    assert request.prompt == "Be kind.\n\nOnce"


def test_a_template_must_be_jinja_unless_it_is_the_models_own() -> None:
    with pytest.raises(InvalidRequest, match="Jinja"):
        generate(template="{{ if .System }}{{ .System }}{{ end }}{{ .Prompt }}")

    own = asked(replace(CARD, template="{{ .Prompt }}"))
    assert generate(own, template="{{ .Prompt }}").template == "{{ .Prompt }}"
    assert generate(template="{{ messages[0].content }}").template == "{{ messages[0].content }}"


@pytest.mark.parametrize(
    ("wanted", "grammar"),
    [
        ("", None),
        ("json", Grammar("json_object")),
        (SCHEMA, Grammar("json_schema", json.dumps(SCHEMA))),
    ],
)
def test_a_format_is_a_grammar(wanted: Any, grammar: Grammar | None) -> None:
    assert chat(format=wanted).grammar == grammar


@pytest.mark.parametrize(
    ("param", "keys"),
    [
        ("format", {"format": "xml"}),
        ("suffix", {"suffix": "end"}),
        ("context", {"context": [1, 2]}),
        ("images", {"images": ["aGk="]}),
        ("think", {"think": True}),
        ("think", {"think": "high"}),
        ("raw", {"raw": True, "system": "Be kind."}),
        ("top_logprobs", {"top_logprobs": 3}),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_its_name(param: str, keys: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        generate(**keys)

    assert refused.value.param == param
    assert param in refused.value.message.replace("thinking", "think")


def test_thinking_in_the_history_and_switched_off_are_no_matter() -> None:
    turn = {"role": "user", "content": "hello", "thinking": "hm"}

    assert chat(messages=[turn], think=False) == chat()


def test_tools_and_their_results_are_translated() -> None:
    function = {"name": "get_weather", "parameters": {"properties": {"city": {}}}}
    call = {"id": "1", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}
    history = [
        *HELLO,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": "18 C", "tool_name": "get_weather"},
    ]

    request = chat(
        asked(CARD, "tools"), tools=[{"type": "function", "function": function}], messages=history
    )

    parameters = {"type": "object", "properties": {"city": {}}}
    assert request.tools == (Tool("get_weather", "", parameters),)
    assert request.messages[1].tool_calls == (ToolCall("1", "get_weather", '{"city": "Paris"}'),)
    assert request.messages[2] == Message("tool", "18 C", name="get_weather")


def test_tools_need_a_template_that_knows_them() -> None:
    with pytest.raises(InvalidRequest, match=r'"m" does not support tools'):
        chat(tools=[{"function": {"name": "f"}}])


def test_an_image_in_a_message_is_refused_by_its_place() -> None:
    with pytest.raises(InvalidRequest) as refused:
        chat(messages=[{"role": "user", "content": "what?", "images": ["aGk="]}])

    assert refused.value.param == "messages[0].images"


def test_the_older_key_name_names_the_model() -> None:
    body = OllamaChatRequest.model_validate({"name": "m", "messages": HELLO})

    assert translate.chat(body, asked()) == chat()


def test_texts_to_embed_are_cut_by_default_and_a_single_one_is_not() -> None:
    new = translate.embed(
        EmbedRequest.model_validate({"model": "m", "input": "a", "keep_alive": -1}), asked()
    )
    old = translate.embeddings(
        OldEmbeddingsRequest.model_validate({"model": "m", "prompt": "a"}), asked()
    )

    assert new.inputs == old.inputs == ("a",)
    assert new.truncate
    assert new.keep_alive_s == math.inf
    assert not old.truncate


def test_a_new_model_has_what_was_given_and_nothing_else() -> None:
    own = creation(
        **{"from": "m"},
        system="Be terse.",
        license=["MIT", "or not"],
        parameters={"num_predict": 3, "stop": "x", "tokens_per_s": 2, "seed": None},
        messages=HELLO,
    )

    assert own == {
        "system": "Be terse.",
        "license": "MIT\nor not",
        "parameters": {"num_predict": 3, "stop": ["x"], "tokens_per_s": 2},
        "messages": ({"role": "user", "content": "hello"},),
    }
    assert creation(**{"from": "m"}) == {}


@pytest.mark.parametrize(
    ("param", "keys"),
    [
        ("modelfile", {"modelfile": "FROM m"}),
        ("quantize", {"from": "m", "quantize": "q4_0"}),
        ("adapters", {"from": "m", "adapters": {"a": "sha256:0"}}),
        ("from", {}),
        ("from", {"from": "m", "files": {"a": "sha256:0"}}),
        ("files", {"files": {"a": "sha256:0", "b": "sha256:1"}}),
        ("template", {"from": "m", "template": "{{ .Prompt }}"}),
    ],
)
def test_what_a_model_cannot_be_made_of_is_refused(param: str, keys: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        creation(**keys)

    assert refused.value.param == param
    assert isinstance(refused.value, NotSupported) == (param == "adapters")


def test_a_model_is_not_made_with_absurd_parameters() -> None:
    with pytest.raises(ValidationError):
        creation(**{"from": "m", "parameters": {"temperature": -1}})
