"""`canteen prompt`: what it prints, and how it fails."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from canteen.cli.main import main

GREET = """---
description: A greeting
inputs: {name: , times: {type: integer, default: 1}}
---
{% for i in range(times) %}
Hello {{ name }}.
{% endfor %}
"""
Call = Callable[..., Result]


@pytest.fixture
def call(echo_home: Path) -> Call:
    """Runs the program in a home with the echo model and a prompt."""
    environ = {"CANTEEN_HOME": str(echo_home), "CANTEEN_MODEL": "echo"}

    def run(*words: str, text: str | None = None) -> Result:
        return CliRunner().invoke(main, ["prompt", *words], input=text, env=environ)

    file = echo_home / "greet.jinja"
    file.write_text(GREET)
    assert run("add", "greet", str(file)).stdout == "greet is in version 1\n"
    return run


def test_a_changed_file_is_another_version(call: Call) -> None:
    assert call("add", "greet", "-", text=GREET).stdout == "greet is in version 1\n"
    told = call("add", "greet", "-", "--json", text=f"{GREET}!")

    assert json.loads(told.stdout)["versions"] == [1, 2]
    assert call("show", "greet@1").stdout == f"{GREET}\n"


def test_prompts_are_listed(call: Call) -> None:
    assert call("ls").stdout.splitlines() == [
        "NAME   VERSION  INPUTS       DESCRIPTION",
        "greet  1        name, times  A greeting",
    ]
    assert [one["name"] for one in json.loads(call("ls", "--json").stdout)] == ["greet"]


def test_a_removed_prompt_is_gone(call: Call) -> None:
    assert call("rm", "greet").stdout == "removed greet\n"
    assert "prompt add" in call("ls").stdout


def test_inputs_are_given_by_name_and_in_their_types(call: Call) -> None:
    answer = call("run", "greet", "--input", "name=A = B", "--input", "times=2")

    assert answer.stdout == "Hello A = B.\nHello A = B.\n"


def test_one_text_may_be_piped(call: Call) -> None:
    assert json.loads(call("run", "greet@1", "--json", text="Ann").stdout) == {
        "result": "Hello Ann.",
        "finish_reason": "stop",
    }


def test_lines_of_json_are_answered_in_order(call: Call) -> None:
    lines = '{"name": "Ann"}\n\n"Bob"\n{"nam": 1}\n'

    answer = call("run", "greet", "--jsonl", "-", text=lines)

    told = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [one.get("result") for one in told] == ["Hello Ann.", "Hello Bob.", None]
    assert "unknown input 'nam'" in told[2]["error"]["message"]
    assert answer.exit_code == 1
    assert answer.stderr == "canteen: 1 of 3 texts failed\n"


@pytest.mark.parametrize(
    ("words", "text", "says"),
    [
        (("run", "great"), None, "near it: greet"),
        (("run", "greet@7"), None, "not found; near it: greet@1"),
        (("run", "greet", "--input", "name"), None, "'name' is not KEY=VALUE"),
        (("run", "greet", "--input", "times=x"), None, "'times' must be a whole number, not 'x'"),
        (("run", "greet", "--input", "tims=1"), None, "unknown input 'tims'"),
        (("run", "greet", "--jsonl", "-"), "[]", "line 1 is no object of inputs"),
        (("run", "greet", "--jsonl", "-"), "\n{", "line 2 is not JSON"),
        (("run", "greet", "--input", "name=a", "--jsonl", "-"), "", "not both"),
        (("add", "classify", "-"), GREET, "a task of Canteen's own"),
        (("add", "a/b", "-"), GREET, "a prompt's name is"),
        (("add", "new", "-"), "{{ a }}", "line 1: 'a' is not declared"),
        (("show", "greet@0"), None, "a version is a number"),
        (("rm", "greet", "nope"), None, "prompt 'nope' not found"),
    ],
)
def test_a_failure_is_one_plain_line(
    call: Call, words: tuple[str, ...], text: str | None, says: str
) -> None:
    answer = call(*words, text=text)

    assert answer.exit_code == 1
    (line,) = answer.stderr.splitlines()
    assert line.startswith("canteen: ")
    assert says in line
