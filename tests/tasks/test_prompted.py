"""Prompts of the caller's own as tasks."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import canteen
from canteen.core.errors import InvalidRequest
from canteen.runtime.prompts import PromptStore
from canteen.settings import Settings
from canteen.tasks import prompted
from canteen.tasks.model import Model
from canteen.tasks.prompt_file import parsed
from canteen.tasks.prompted import Prompted, PromptRequest
from tests.tasks.speaking import Speaking

GREET = "---\ninputs: {name: , times: {type: integer, default: 1}}\n---\n"
GREET += "{% for i in range(times) %}Hello {{ name }}. {% endfor %}"
TYPED = """---
inputs:
  s: {type: string}
  i: {type: integer}
  n: {type: number}
  b: {type: boolean}
  a: {type: array}
---
{{ s }} {{ i }} {{ n }} {{ b }} {{ a }}
"""
GOOD = {"s": "x", "i": 1, "n": 0.5, "b": True, "a": [1]}
PERSON = """---
output:
  type: object
  properties: {name: {type: string}, age: {type: integer}}
  required: [name, age]
  additionalProperties: false
system: You know everybody.
max_tokens: 60
temperature: 0.25
---
Make up a person.
"""


def user(source: str, given: prompted.Given) -> str:
    return prompted.messages(parsed(source), given)[-1].content


async def answer(models: Speaking, source: str, **inputs: Any) -> Prompted:
    task = prompted.task("mine", 3, source)
    model = Model(models, "m", "e", id="1", prompt_version=task.prompt_version)
    made = await task.run(model, PromptRequest(inputs))
    assert isinstance(made, Prompted)
    return made


async def test_the_inputs_make_the_prompt_and_the_answer_is_the_text() -> None:
    models = Speaking(lambda _: "Good day.")

    made = await answer(models, GREET, name="Ann", times=2)

    assert made == Prompted("Good day.", "stop")
    (asked,) = models.asked
    assert [(one.role, one.content) for one in asked.messages] == [
        ("user", "Hello Ann. Hello Ann.")
    ]
    assert (asked.prompt_version, asked.sampling.temperature) == ("mine/3", 0.0)


async def test_an_output_makes_a_grammar_and_an_object() -> None:
    models = Speaking(lambda _: '{"name": "Ann", "age": 7}')

    made = await answer(models, PERSON)

    assert made.result == {"name": "Ann", "age": 7}
    assert prompted.told(made) == '{"name": "Ann", "age": 7}'
    (asked,) = models.asked
    assert asked.grammar is not None
    assert json.loads(asked.grammar.value)["required"] == ["name", "age"]
    assert asked.messages[0].content == "You know everybody."
    assert (asked.sampling.max_tokens, asked.sampling.temperature) == (60, 0.25)


def test_a_default_stands_in_and_a_plain_text_is_the_one_input() -> None:
    assert user(GREET, "Ann") == user(GREET, {"name": "Ann"}) == "Hello Ann."


def test_a_plain_text_is_refused_where_there_are_more_inputs() -> None:
    with pytest.raises(InvalidRequest, match="give an object with s, i, n, b, a"):
        user(TYPED, "Ann")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("s", 1, "must be text"),
        ("s", "\ud800", "must be valid Unicode"),
        ("s", "a\0", "is binary"),
        ("i", 1.5, "must be a whole number"),
        ("i", True, "must be a whole number"),
        ("i", "1", "must be a whole number"),
        ("i", 1 << 64, "must be a whole number"),
        ("n", "1", "must be a number"),
        ("n", float("nan"), "must be a number"),
        ("b", 1, "must be true or false"),
        ("a", "x", "must be a list"),
        ("a", {"x": 1}, "must be a list"),
        ("a", [object()], "must be JSON"),
        ("a", ["\ud800"], "must be JSON"),
        ("s", None, "is missing"),
    ],
)
def test_a_wrong_value_names_its_input(name: str, value: Any, says: str) -> None:
    with pytest.raises(InvalidRequest, match=f"input '{name}' {says}") as refused:
        user(TYPED, GOOD | {name: value})

    assert refused.value.param == f"input.{name}"


def test_an_unknown_input_is_told_with_those_there_are() -> None:
    with pytest.raises(InvalidRequest, match="unknown input 'nam'; the inputs are name, times"):
        user(GREET, {"nam": "Ann"})


def test_values_are_taken_in_their_types() -> None:
    assert user(TYPED, GOOD | {"i": 2.0, "n": 3}) == "x 2 3 True [1]"


def test_a_prompt_that_comes_out_empty_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        user("---\ninputs: {a: }\n---\n{{ a }}", " ")


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_an_input_comes_into_the_prompt_unchanged(text: str) -> None:
    assert user("---\ninputs: {a: }\n---\n<{{ a }}>", {"a": text}) == f"<{text}>"


def test_names_of_canteen_s_own_tasks_are_taken() -> None:
    with pytest.raises(InvalidRequest, match="choose another"):
        prompted.check("classify", GREET)


def test_what_is_damaged_is_described_by_its_problem() -> None:
    assert prompted.described("{{ a")["problem"].startswith("line 1: ")
    assert prompted.described(GREET)["inputs"]["times"] == {
        "type": "integer",
        "description": "",
        "required": False,
        "default": 1,
    }


def test_it_is_a_method_of_an_llm(echo_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANTEEN_HOME", str(echo_home))
    prompts = PromptStore(Settings.from_env().home)
    prompts.put("greet", GREET)
    prompts.put("person", PERSON)

    with canteen.LLM("echo") as llm:
        assert llm.prompt("greet", name="{{ name }}") == "Hello {{ name }}."
        assert llm.prompt("person") == {"name": "echo", "age": 1}
        assert llm.receipt is not None
        assert llm.receipt.prompt_version == "person/1"
        first, second = llm.each("greet@1", ["Ann", {"nam": "Bob"}])

    assert first.result == "Hello Ann."
    assert isinstance(second, InvalidRequest)


def test_the_real_model_keeps_to_the_output(
    model_home_copy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANTEEN_HOME", str(model_home_copy))
    PromptStore(model_home_copy).put("person", PERSON)

    with canteen.LLM("smollm2:135m") as llm:
        told = list(llm.each("person", [{}] * 4))

    # So small a model now and then indents until it has no token left, which is refused.
    whole = [one.result for one in told if not isinstance(one, InvalidRequest)]
    assert whole
    for person in whole:
        assert person.keys() == {"name", "age"}
        assert isinstance(person["age"], int)
