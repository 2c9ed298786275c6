"""A model made by `create` brings its ways along, and a request may overrule them."""

from typing import Any

from canteen.api.openai import translate
from canteen.api.openai.schema import ChatRequest
from canteen.api.sampling import filled, introduced
from canteen.core.generation import GenerationRequest, Message
from canteen.core.model import ModelCard
from tests.cards import card


def asked(model: ModelCard, **keys: Any) -> GenerationRequest:
    hello = [{"role": "user", "content": "hello"}]
    body = ChatRequest.model_validate({"model": "m", "messages": hello} | keys)
    return introduced(translate.chat(filled(body, model), "id", "someone"), model)


def test_parameters_count_where_the_request_says_nothing() -> None:
    model = card(parameters={"temperature": 0.3, "top_k": 5, "stop": "END", "num_ctx": 512})

    request = asked(model, top_k=7)

    assert request.sampling.temperature == 0.3
    assert request.sampling.top_k == 7
    assert request.sampling.stop == ("END",)
    assert request.context_length == 512


def test_the_models_system_prompt_and_messages_come_first() -> None:
    model = card(system="Be terse.", messages=({"role": "user", "content": "before"},))

    assert asked(model).messages == (
        Message("system", "Be terse."),
        Message("user", "before"),
        Message("user", "hello"),
    )


def test_a_system_prompt_of_the_request_is_the_only_one() -> None:
    mine = [{"role": "system", "content": "Sing."}, {"role": "user", "content": "hello"}]

    request = asked(card(system="Be terse."), messages=mine)

    assert [message.content for message in request.messages] == ["Sing.", "hello"]


def test_only_a_derived_model_brings_a_template() -> None:
    assert asked(card(template="{{ x }}")).template is None
    assert asked(card(template="{{ x }}", parent="base:latest")).template == "{{ x }}"


def test_a_model_without_ways_of_its_own_changes_nothing() -> None:
    body = ChatRequest.model_validate(
        {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    )

    assert asked(card()) == translate.chat(body, "id", "someone")
