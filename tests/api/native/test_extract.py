"""Extraction over HTTP and in the shell: the forms of types, batches, and what is refused."""

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import CANTEEN, Server, plain_environ

TEXT = "Mail anna@x.org by 2024-05-06."


def ask(server: Server, **body: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/tasks/extract", json=body, trust_env=False)


@pytest.mark.parametrize("types", [["email"], {"email": "e-mail addresses"}, ["email=addresses"]])
def test_types_are_a_list_or_descriptions(echo_server: Server, types: Any) -> None:
    answer = ask(echo_server, input=TEXT, types=types)

    assert answer.status_code == 200
    told = answer.json()
    assert told["found"] == [
        {"type": "email", "quote": "anna@x.org", "start": 5, "end": 15, "method": "pattern"}
    ]
    assert told["methods"] == {"email": "pattern"}
    assert told["prompt_version"] == "extract/1"


def test_a_schema_is_filled_and_what_is_not_in_the_text_is_left_out(echo_server: Server) -> None:
    schema = {
        "type": "object",
        "properties": {
            "mail": {"type": "string", "format": "email"},
            "name": {"type": "string"},
            "is_new": {"type": "boolean"},
        },
    }

    told = ask(echo_server, input=TEXT, schema=schema).json()

    assert told["value"] == {"mail": "anna@x.org", "is_new": True}
    assert told["unquoted"] == ["/is_new"]
    assert told["num_dropped"] == 1
    assert told["footprint"]["tokens"]["completion"] > 0


def test_an_input_that_fails_fails_alone(echo_server: Server) -> None:
    told = ask(echo_server, inputs=[TEXT, " "], types=["date"]).json()

    assert told["results"][0]["found"][0]["quote"] == "2024-05-06"
    assert "empty" in told["results"][1]["error"]["detail"]


@pytest.mark.parametrize(
    ("options", "param", "said"),
    [
        ({}, "types", "give types, or a schema"),
        ({"types": "email"}, "types", "a list of texts, or an object of texts"),
        ({"types": ["a", "a"]}, "types", "2 times"),
        ({"schema": {"type": "object", "not": {}, "properties": {}}}, "schema", "$.not"),
    ],
)
def test_wrong_options_name_the_field(
    echo_server: Server, options: dict[str, Any], param: str, said: str
) -> None:
    answer = ask(echo_server, input=TEXT, **options)

    assert answer.status_code == 400
    problem = answer.json()
    assert problem["param"] == param
    assert said in problem["detail"]


def extract(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CANTEEN, "extract", *options],
        capture_output=True,
        text=True,
        env=plain_environ(home, {"CANTEEN_MODEL": "echo"}),
        timeout=60,
    )


def test_the_shell_shows_a_line_for_each_quote(echo_home: Path) -> None:
    done = extract(echo_home, "--type", "email", "--type", "date", TEXT)

    assert done.stdout == "email\tanna@x.org\t5-15\ndate\t2024-05-06\t19-29\n"


def test_the_shell_takes_a_schema_from_a_file(echo_home: Path, tmp_path: Path) -> None:
    properties = {"mail": {"type": "string", "format": "email"}}
    schema = tmp_path / "form.json"
    schema.write_text(json.dumps({"type": "object", "properties": properties}))

    done = extract(echo_home, "--schema", str(schema), TEXT)

    assert json.loads(done.stdout) == {"mail": "anna@x.org"}


def test_the_shell_says_what_is_wrong_in_a_line(echo_home: Path) -> None:
    done = extract(echo_home, TEXT)

    assert done.returncode == 1
    assert done.stderr == "canteen: give types, or a schema, and not both\n"
