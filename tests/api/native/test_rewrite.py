"""Rewriting over HTTP and in the shell."""

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import CANTEEN, Server, plain_environ


def ask(server: Server, **body: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/tasks/rewrite", json=body, trust_env=False)


def test_the_answer_has_text_diff_and_what_was_lost(echo_server: Server) -> None:
    answer = ask(echo_server, input="Pay {amount} now.", translate="French", preserve=["numbers"])

    assert answer.status_code == 200
    said = answer.json()
    assert said["text"] == "Pay {amount} now."
    assert said["diff"] == [{"op": "equal", "before": said["text"], "after": said["text"]}]
    assert said["lost"] == []
    # Echo says the same again and again, which is no translation.
    assert said["warnings"] == ["1 sentence is as before: the model did not come to an end"]
    assert said["prompt_version"] == "rewrite-translate/1"


def test_many_are_rewritten_in_order_and_one_that_fails_fails_alone(echo_server: Server) -> None:
    results = ask(echo_server, inputs=["One.", " ", "Two."], translate="French").json()["results"]

    assert [one.get("text") for one in results] == ["One.", None, "Two."]
    assert results[1]["error"]["param"] == "input"


def test_the_pieces_of_a_stream_are_the_text(echo_server: Server) -> None:
    text = "# One\n\nTwo is here.\n\n- three\n"
    body = {"input": text, "translate": "French", "stream": True}

    answer = httpx.post(f"{echo_server.url}/v1/tasks/rewrite", json=body, trust_env=False)

    events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    told = [json.loads(one) for one in events]
    assert "".join(one["delta"] for one in told if "delta" in one) == text
    assert next(one["text"] for one in told if "text" in one) == text


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"input": "x"}, "say how"),
        ({"input": "x", "tone": "formal", "preserve": ["verbs"]}, "preserve"),
        ({"input": "x", "tone": "formal", "grammar_only": True}, "grammar_only"),
        ({"input": "x", "translate": ""}, "translate is empty"),
    ],
)
def test_wrong_options_are_problems(echo_server: Server, body: Any, says: str) -> None:
    answer = ask(echo_server, **body)

    assert answer.status_code == 400
    assert says in answer.json()["detail"]


def test_the_shell_rewrites_what_is_piped(echo_home: Path) -> None:
    done = subprocess.run(
        [*CANTEEN, "rewrite", "--grammar-only"],
        env=plain_environ(echo_home, {"CANTEEN_MODEL": "echo"}),
        input="The bridge is closed.\n",
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stdout == "The bridge is closed.\n\n"
    assert done.returncode == 0
