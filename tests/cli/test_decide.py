"""Decisions in the shell and from Python, on the echo model."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import canteen
from canteen.cli.decide import told
from canteen.core.errors import InvalidRequest
from canteen.tasks.decide import Decision, Option
from canteen.tasks.system_one import text_of
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
        (("state", "--choose", "Whose?", "a, b, a"), "option 'a' is given twice"),
        (("state", "--ask", "Is it?", "--ask", "Is it?"), "question 'Is it?' is given twice"),
        (("state", "--ask", "It?", "--choose", "It?", "a, b"), "question 'It?' is given twice"),
    ],
)
def test_what_cannot_be_decided_is_said_in_a_line(
    echo_home: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = run(echo_home, *arguments)

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("noul", "line"), [(0.01, "no\t0.990"), (0.5, "yes\t0.500"), (0.75, "yes\t0.750")]
)
def test_what_is_told_is_the_likelier_of_yes_and_no(noul: float, line: str) -> None:
    assert told({"type": "noul", "noul": noul}) == line


@pytest.mark.parametrize("state", ["mail is lost", {"mail": "lost"}, ["mail", {"lost": True}]])
def test_python_and_the_http_client_give_the_same(
    echo_home: Path, echo_server: Server, monkeypatch: pytest.MonkeyPatch, state: Any
) -> None:
    monkeypatch.setenv("CANTEEN_HOME", str(echo_home))
    with canteen.LLM("echo") as llm:
        here = llm.decide(state, QUESTIONS)
    with canteen.Client(echo_server.url) as client:
        there = client.decide(state, QUESTIONS)

    assert here == there


def test_a_state_is_told_in_its_own_letters() -> None:
    assert text_of({"name": "Jürgen", "city": "東京"}) == '{"name": "Jürgen", "city": "東京"}'
    options = (Option(True), Option("größer"))
    assert Decision("Is it?", options).texts == ("true", '"größer"')


@pytest.mark.parametrize("state", ["", " ", None, 7, {"a": object()}, ["\ud800"]])
def test_a_state_that_says_nothing_is_refused_and_named(state: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        text_of(state)

    assert refused.value.param == "state"


def test_a_wrong_question_is_refused_and_named(echo_server: Server) -> None:
    question = {"type": "choice", "instructions": "?", "criteria": ["a"]}

    with (
        canteen.Client(echo_server.url) as client,
        pytest.raises(InvalidRequest, match="options") as refused,
    ):
        client.decide("x", {"q": question})

    assert refused.value.param == "questions.q.criteria"
