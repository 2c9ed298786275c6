"""Decisions in the shell and from Python, on the echo model."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import canteen
from canteen.core.errors import InvalidRequest
from tests.serving import CANTEEN, Server, plain_environ

QUESTIONS: dict[str, dict[str, Any]] = {
    "angry": {"type": "noul", "instructions": "Is it angry?"},
    "team": {
        "type": "choice",
        "instructions": "Whose?",
        "criteria": {"bills": None, "mail": "post"},
    },
}


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CANTEEN, "decide", *arguments],
        env=plain_environ(home, {"CANTEEN_MODEL": "echo"}),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_questions_are_answered_a_line_each(echo_home: Path) -> None:
    done = run(
        echo_home, "bills are late", "--ask", "Is it late?", "--choose", "Whose?", "bills, mail"
    )

    first, second = done.stdout.splitlines()
    assert first.startswith("Is it late?\tyes\t0.")
    assert second.startswith("Whose?\t")


def test_answers_are_told_as_json(echo_home: Path) -> None:
    done = run(echo_home, "bills", "--json", "--choose", "Whose?", "bills, mail")

    assert set(json.loads(done.stdout)["Whose?"]["probabilities"]) == {"bills", "mail"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("state",), "ask something"),
        (("", "--ask", "Is it?"), "empty"),
        (("state", "--choose", "Whose?", "one"), "from 2 to 255"),
    ],
)
def test_what_cannot_be_decided_is_said_in_a_line(
    echo_home: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = run(echo_home, *arguments)

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_python_and_the_http_client_give_the_same(
    echo_home: Path, echo_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANTEEN_HOME", str(echo_home))
    with canteen.LLM("echo") as llm:
        here = llm.decide("mail is lost", QUESTIONS)
    with canteen.Client(echo_server.url) as client:
        there = client.decide("mail is lost", QUESTIONS)

    assert here == there


def test_a_wrong_question_is_refused_and_named(echo_server: Server) -> None:
    question = {"type": "choice", "instructions": "?", "criteria": ["a"]}

    with (
        canteen.Client(echo_server.url) as client,
        pytest.raises(InvalidRequest, match="options") as refused,
    ):
        client.decide("x", {"q": question})

    assert refused.value.param == "questions.q.criteria"
