"""Prompts over HTTP: stored, told, answered as tasks, and refused with problems."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests import serving
from tests.conftest import pull
from tests.serving import Server

GREET = "---\ndescription: A greeting\ninputs: {name: {description: Whom}}\n---\nHello {{ name }}."
PAIR = "---\ninputs: {a: , n: {type: integer, required: false}}\n---\n{{ a }}{{ n }}"
BOTH = "---\ninputs: {a: , b: }\n---\n{{ a }} {{ b }}"
PERSON = """---
output:
  type: object
  properties: {age: {type: integer}}
  required: [age]
---
A person.
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("prompts")
    home = pull(folder / "home", "echo")
    server = serving.start(home, folder / "serve.log", {"CANTEEN_MODEL": "echo"})
    for name, source in (("greet", GREET), ("both", BOTH), ("person", PERSON)):
        assert ask(server, "PUT", f"prompts/{name}", source=source).status_code == 200
    yield server
    serving.end(server)


def ask(server: Server, method: str, path: str, **body: Any) -> httpx.Response:
    given = body if method in ("PUT", "POST") else None
    return httpx.request(method, f"{server.url}/v1/{path}", json=given, trust_env=False)


def test_a_stored_prompt_is_told(server: Server) -> None:
    told = ask(server, "GET", "prompts/greet").json()

    assert (told["name"], told["version"], told["versions"]) == ("greet", 1, [1])
    assert told["source"] == GREET
    assert told["description"] == "A greeting"
    assert told["inputs"] == {"name": {"type": "string", "description": "Whom", "required": True}}


def test_all_are_listed_without_their_sources(server: Server) -> None:
    told = ask(server, "GET", "prompts").json()["prompts"]

    assert {"both", "greet", "person"} <= {one["name"] for one in told}
    assert all("source" not in one for one in told)


def test_versions_stay_and_can_be_asked(server: Server) -> None:
    ask(server, "PUT", "prompts/turns", source="One.")
    again = ask(server, "PUT", "prompts/turns", source="One.").json()
    second = ask(server, "PUT", "prompts/turns", source="Two.").json()

    assert (again["version"], second["version"]) == (1, 2)
    for name, text, version in (("turns", "Two.", 2), ("turns@1", "One.", 1)):
        answer = ask(server, "POST", f"tasks/{name}", input={}).json()
        assert (answer["result"], answer["prompt_version"]) == (text, f"turns/{version}")
    assert ask(server, "GET", "prompts/turns@1").json()["source"] == "One."


def test_a_removed_prompt_is_gone(server: Server) -> None:
    ask(server, "PUT", "prompts/gone", source="One.")

    assert ask(server, "DELETE", "prompts/gone").json() == {"removed": "gone"}
    assert ask(server, "POST", "tasks/gone", input={}).status_code == 404
    assert ask(server, "DELETE", "prompts/gone").status_code == 404


@pytest.mark.parametrize("given", [{"name": "Ann"}, "Ann"])
def test_an_answer_is_in_the_shape_of_every_task_s(server: Server, given: object) -> None:
    answer = ask(server, "POST", "tasks/greet", input=given).json()

    assert answer["result"] == "Hello Ann."
    assert (answer["task"], answer["model"]) == ("greet", "echo")
    assert answer["prompt_version"] == "greet/1"
    assert answer["usage"]["completion_tokens"] == 2
    assert answer["footprint"]["prompt_version"] == "greet/1"


def test_an_output_is_an_object(server: Server) -> None:
    assert ask(server, "POST", "tasks/person", input={}).json()["result"] == {"age": 1}


def test_what_an_input_holds_is_never_a_template(server: Server) -> None:
    name = "{{ 7 * 7 }}{% include 'x' %}"

    answer = ask(server, "POST", "tasks/greet", input={"name": name}).json()

    assert answer["result"] == f"Hello {name}."


def test_many_are_answered_in_order_and_one_fails_by_itself(server: Server) -> None:
    inputs = [{"name": "Ann"}, {"nam": "Bob"}, "Cid", {}]

    answer = ask(server, "POST", "tasks/greet", inputs=inputs).json()

    told = [one.get("result") or one["error"]["detail"] for one in answer["results"]]
    assert told == [
        "Hello Ann.",
        "unknown input 'nam'; the inputs are name",
        "Hello Cid.",
        "input 'name' is missing; give text",
    ]


def test_a_stream_has_pieces_the_result_and_what_it_took(server: Server) -> None:
    streamed = ask(server, "POST", "tasks/greet", input="Ann", stream=True)

    lines = [line.removeprefix("data: ") for line in streamed.text.split("\n\n") if line]
    *events, done = lines
    told = [json.loads(event) for event in events]
    assert "".join(one.get("delta", "") for one in told) == "Hello Ann."
    assert told[-2]["result"] == "Hello Ann."
    assert told[-1]["footprint"]["prompt_version"] == "greet/1"
    assert done == "[DONE]"


def test_an_unknown_name_is_a_problem_with_those_near_it(server: Server) -> None:
    for name, near in (("great", "greet"), ("clasify", "classify")):
        answer = ask(server, "POST", f"tasks/{name}", input="a")

        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "prompt_not_found"
        assert f"near it: {near}" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("tasks/greet", {}, "give input"),
        ("tasks/greet", {"input": "a", "inputs": ["b"]}, "not both"),
        ("tasks/greet", {"input": 7}, "an object of inputs, or a text"),
        ("tasks/greet", {"inputs": [["a"]]}, "an object of inputs, or a text"),
        ("tasks/greet", {"inputs": []}, "from 1 to"),
        ("tasks/greet", {"input": {}}, "input 'name' is missing"),
        ("tasks/greet", {"input": {"name": 7}}, "input 'name' must be text"),
        ("tasks/greet", {"input": {"name": None}}, "input 'name' is missing"),
        ("tasks/greet", {"input": {"name": "a", "x": 1}}, "unknown input 'x'"),
        ("tasks/greet", {"input": {"name": 1 << 70}}, "input 'name' must be text"),
        ("tasks/both", {"input": "a"}, "give an object with a, b"),
        ("tasks/greet@x", {"input": "a"}, "a version is a number"),
        ("tasks/.greet", {"input": "a"}, "a prompt's name is"),
    ],
)
def test_a_wrong_request_is_a_problem_that_says_why(
    server: Server, path: str, body: dict[str, Any], says: str
) -> None:
    answer = ask(server, "POST", path, **body)

    assert answer.status_code == 400
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "source", "says"),
    [
        ("new", "{{ a }}", "line 1: 'a' is not declared"),
        ("new", "---\ninputs: {a: }\n---\nHello", "line 2: input 'a' is not used"),
        ("new", "{{ 'x' | center(1000000000) }}", "no filter 'center'"),
        ("new", "x" * 70_000, "longer than"),
        ("new", None, "source: Field required"),
        ("classify", "Hello", "a task of Canteen's own"),
        ("..x", "Hello", "a prompt's name is"),
        ("new@2", "Hello", "a prompt's name is"),
    ],
)
def test_what_cannot_be_stored_is_a_problem_that_says_why(
    server: Server, name: str, source: str | None, says: str
) -> None:
    answer = ask(server, "PUT", f"prompts/{name}", source=source)

    assert answer.status_code == 400
    assert says in answer.json()["detail"]
    assert name not in [one["name"] for one in ask(server, "GET", "prompts").json()["prompts"]]


def test_the_model_is_the_caller_s_else_the_prompt_s(server: Server) -> None:
    ask(server, "PUT", "prompts/other", source="---\nmodel: nowhere\n---\nHello")

    refused = ask(server, "POST", "tasks/other", input={})
    answer = ask(server, "POST", "tasks/other", input={}, model="echo")

    assert (refused.status_code, refused.json()["code"]) == (404, "model_not_found")
    assert answer.json()["result"] == "Hello"


def test_the_metrics_know_prompts_as_one_operation(server: Server) -> None:
    ask(server, "POST", "tasks/greet", input="Ann")

    text = httpx.get(f"{server.url}/metrics", trust_env=False).text
    assert '="prompt"' in text
    assert "greet" not in text
