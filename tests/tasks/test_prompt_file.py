"""Files of prompts: what they declare, and errors that name the line."""

import json
import time

import pytest

from canteen.core.errors import InvalidRequest
from canteen.tasks.prompt_file import parsed
from canteen.tasks.prompt_inputs import Input

LETTER = """---
description: A reply to a letter
inputs:
  letter: {type: string, description: The letter}
  points:
    type: array
    default: []
  words: {type: integer, required: false}
system: |
  You are a clerk.
  {% if words %}Use {{ words }} words.{% endif %}
output:
  type: object
  properties: {reply: {type: string}}
  required: [reply]
model: smollm2:135m
max_tokens: 20
temperature: 0.5
---

Answer this letter: {{ letter }}
{% for point in points %}
* {{ point }}
{% endfor %}
"""


def test_a_file_is_read() -> None:
    file = parsed(LETTER)

    assert file.description == "A reply to a letter"
    assert file.inputs == {
        "letter": Input("string", "The letter"),
        "points": Input("array", default=[], is_required=False),
        "words": Input("integer", is_required=False),
    }
    assert json.loads(file.output)["required"] == ["reply"]
    assert (file.model, file.max_tokens, file.temperature) == ("smollm2:135m", 20, 0.5)
    assert file.system is not None
    assert file.system.render({"words": 9}) == "You are a clerk.\nUse 9 words."


def test_what_is_declared_may_be_nothing() -> None:
    assert parsed("Say hello.").user.render({}) == "Say hello."
    assert parsed("---\n---\nSay hello.").inputs == {}


def test_line_ends_of_windows_are_line_ends() -> None:
    file = parsed(LETTER.replace("\n", "\r\n"))

    assert file.user.names == {"letter": 21, "points": 22}


@pytest.mark.parametrize(
    ("change", "by", "says"),
    [
        ("{{ letter }}", "it", r"line 4: input 'letter' is not used"),
        ("{{ point }}", "{{ pont }}", r"line 23: 'pont' is not declared"),
        ("{{ words }}", "{{ wrods }}", r"line 11: 'wrods' is not declared"),
        ("{{ point }}", "{{ point", r"line 24: "),
        ("{% if words %}", "{% when words %}", r"line 11: Encountered unknown tag"),
        ("{{ point }}", "{{ point | fancy }}", r"line 23: no filter 'fancy'; there are abs"),
        ("max_tokens: 20", "max_token: 20", r"line 17: 'max_token' is none of description"),
        ("max_tokens: 20", "max_tokens: 0", r"line 17: max_tokens must be a whole number from 1"),
        ("max_tokens: 20", "max_tokens: true", r"line 17: max_tokens must be"),
        ("temperature: 0.5", "temperature: .nan", r"line 18: temperature must be a number"),
        ("temperature: 0.5", "temperature: hot", r"line 18: temperature must be a number"),
        ("model: smollm2:135m", "model: [a]", r"line 16: model must be text"),
        ("type: array", "type: list", r"line 6: the type must be one of string"),
        ("type: array", "typ: array", r"line 6: 'typ' is none of type"),
        ("default: []", "default: 3", r"line 7: the default of input 'points' must be a list"),
        ("default: []", "default: []\n    required: true", r"line 8: required is"),
        ("required: false}", "required: perhaps}", r"line 8: required is true or false"),
        ("  words: {", "  no: {", r"line \d: 'False' cannot be an input's name"),
        ("  words: {", "  loop: {", r"line 8: 'loop' cannot be an input's name"),
        ("  words: {", "  a-b: {", r"line 8: 'a-b' cannot be an input's name"),
        ("{type: string, description: The letter}", "text", r"line 4: .* mapping"),
        ("required: [reply]", "uniqueItems: true", r"line 12: schema not supported"),
        ("type: object", "type: thing", r"line 12: not a valid JSON Schema"),
        ("type: object", "type: 2020-01-01", r"line 12: output must be a JSON Schema"),
        ("description: A", "description: [A", r"line 3: not valid YAML"),
        ("description: A reply", "description: &a [x, *a]\nq: A", r"line \d: not valid YAML: ali"),
        ("description: A reply", "description: !!python/name:os.system A", r"line 2: not valid"),
        ("description: A reply", "description: 2020-99-99 #", r"line 1: not valid YAML"),
        ("description: A reply", "? [a]\n: 1\nx: A", r"line \d: not valid YAML"),
    ],
)
def test_a_mistake_is_told_with_its_line(change: str, by: str, says: str) -> None:
    assert change in LETTER

    with pytest.raises(InvalidRequest, match=says) as refused:
        parsed(LETTER.replace(change, by))
    assert refused.value.param == "source"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "---\ndescription: x\n---\n",
        "---\n- a\n---\nHello",
        "---\n" + "[" * 16_000 + "\n---\nHello",
        "---\n" + "- " * 8_000 + "\n---\nHello",
        "---\n" + "{a: " * 4_000 + "\n---\nHello",
        "---\n" + "a: 1\n" * 9_000 + "---\nHello",
        "---\na: " + "9" * 9_000 + "\n---\nHello",
        "---\nx: \0\n---\nHello",
        "x" * 70_000,
    ],
)
def test_what_is_no_prompt_is_refused_soon(source: str) -> None:
    started_s = time.monotonic()

    with pytest.raises(InvalidRequest, match=r"^line \d+: "):
        parsed(source)
    assert time.monotonic() - started_s < 10
