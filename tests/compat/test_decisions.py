"""Decisions by the official client, and System One by its wire, against real servers."""

import json
import math
from typing import Any

import httpx
import openai
import pytest

from tests.serving import Server

MODEL = "echo"
QUESTIONS: list[Any] = [
    {"type": "predicate", "name": "urgent", "instructions": "It is urgent."},
    {
        "type": "choice",
        "instructions": "Where does it belong?",
        "choices": [{"value": "billing", "description": "about money"}, {"value": "other"}],
    },
    {
        "type": "score",
        "name": "mood",
        "instructions": [{"type": "input_text", "text": "How angry is it?"}],
        "levels": [{"label": "calm"}, {"label": "cross"}, {"label": "furious"}],
    },
]


@pytest.fixture
def client(echo_server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{echo_server.url}/v1", api_key="none", max_retries=0)


def post(server: Server, path: str, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", json=body, timeout=60, trust_env=False)


def test_the_official_client_gets_an_answer_for_each_question(client: openai.OpenAI) -> None:
    decision = client.decisions.create(
        model=MODEL, input="My bill is wrong, and I am furious", questions=QUESTIONS
    )

    predicate, choice, score = decision.answers
    assert predicate.type == "predicate"
    assert predicate.name == "urgent"
    assert 0 <= predicate.probability <= 1
    assert choice.type == "choice"
    assert choice.name is None
    assert choice.choice in ("billing", "other")
    assert math.fsum(one.probability for one in choice.probabilities) == pytest.approx(1)
    assert score.type == "score"
    assert [one.value for one in score.probabilities] == [0, 1, 2]
    assert score.score == pytest.approx(
        sum(one.value * one.probability for one in score.probabilities)
    )
    assert decision.usage.total_tokens == decision.usage.input_tokens > 0


def test_messages_calls_and_their_results_are_read(client: openai.OpenAI) -> None:
    turns: list[Any] = [
        {"role": "system", "content": "You handle mail."},
        {"role": "user", "content": [{"type": "input_text", "text": "Where is my parcel?"}]},
        {"type": "function_call", "call_id": "1", "name": "track", "arguments": '{"id": 7}'},
        {"type": "function_call_output", "call_id": "1", "output": "lost"},
    ]

    decision = client.decisions.create(model=MODEL, input=turns, questions=QUESTIONS[:1])

    assert len(decision.answers) == 1


def test_a_boolean_and_a_text_of_the_same_letters_are_different(echo_server: Server) -> None:
    choices = [{"value": True}, {"value": "true"}, {"value": "no"}]
    question = {"type": "choice", "instructions": "Is it?", "choices": choices}

    answer = post(
        echo_server, "/v1/decisions", {"model": MODEL, "input": "x", "questions": [question]}
    ).json()["answers"][0]

    values = [one["value"] for one in answer["probabilities"]]
    assert values == [True, "true", "no"]
    assert math.fsum(one["probability"] for one in answer["probabilities"]) == pytest.approx(1)


def test_label_mass_version_and_receipt_come_with_the_answers(echo_server: Server) -> None:
    body = {"model": MODEL, "input": "x", "questions": QUESTIONS}

    answer = post(echo_server, "/v1/decisions", body).json()

    assert len(answer["label_mass"]) == 3
    assert all(0 < mass <= 1 for mass in answer["label_mass"])
    assert answer["prompt_format_version"] == "decide/1"
    assert answer["footprint"]["prompt_version"] == "decide/1"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"questions": []}, "questions"),
        ({"questions": [{"type": "predicate", "instructions": " "}]}, "questions[0].instructions"),
        (
            {"questions": [{"type": "choice", "instructions": "?", "choices": [{"value": "a"}]}]},
            "questions[0].choices",
        ),
        (
            {
                "questions": [
                    {"type": "choice", "instructions": "?", "choices": [{"value": "a"}] * 2}
                ]
            },
            "questions[0].choices",
        ),
        ({"input": " "}, "input"),
        ({"input": [{"content": [{"type": "input_image"}]}]}, "input[0]"),
    ],
)
def test_what_cannot_be_decided_is_refused_in_openais_shape(
    echo_server: Server, change: dict[str, Any], param: str
) -> None:
    body = {"model": MODEL, "input": "x", "questions": QUESTIONS, **change}

    answer = post(echo_server, "/v1/decisions", body)

    assert answer.status_code in (400, 501)
    assert answer.json()["error"]["param"] == param


def test_an_embedder_decides_nothing(echo_server: Server) -> None:
    body = {"model": "echo-embed", "input": "x", "questions": QUESTIONS}

    answer = post(echo_server, "/v1/decisions", body)

    assert answer.status_code == 400
    assert "not one that generates" in answer.json()["error"]["message"]


def test_system_one_answers_by_name(echo_server: Server) -> None:
    body = {
        "model": MODEL,
        "state": {"order": 4711, "status": "lost"},
        "questions": {
            "angry": {"type": "noul", "instructions": "Is the customer angry?"},
            "team": {
                "type": "choice",
                "instructions": "Who handles it?",
                "criteria": {"lost": "lost parcels", "other": None},
            },
            "risk": {
                "type": "score",
                "instructions": "How great is the risk?",
                "criteria": ["none", "some", "great"],
            },
        },
    }

    answers = post(echo_server, "/v1/systemone", body).json()["answers"]

    assert list(answers) == ["angry", "team", "risk"]
    assert set(answers["angry"]) == {"type", "noul"}
    assert math.fsum(answers["team"]["probabilities"].values()) == pytest.approx(1)
    assert answers["team"]["choice"] in ("lost", "other")
    assert answers["risk"]["legend"] == {"0": "none", "1": "some", "2": "great"}
    assert 0 <= answers["risk"]["score"] <= 2


@pytest.mark.parametrize(
    "question",
    [
        {"type": "choice", "instructions": "?", "criteria": ["a", "b"]},
        {"type": "score", "instructions": "?", "criteria": ["only one"]},
        {"type": "noul", "instructions": "?", "criteria": {"perhaps": "x"}},
        {"type": "guess", "instructions": "?"},
    ],
)
def test_criteria_that_do_not_fit_are_refused(
    echo_server: Server, question: dict[str, Any]
) -> None:
    body = {"model": MODEL, "state": "x", "questions": {"q": question}}

    answer = post(echo_server, "/v1/systemone", body)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("questions.q")


def test_an_empty_state_is_named(echo_server: Server) -> None:
    body = {"model": MODEL, "state": " ", "questions": {"q": {"type": "noul", "instructions": "?"}}}

    answer = post(echo_server, "/v1/systemone", body)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "state"


def test_the_default_model_reads_a_state_once_for_many_questions(model_server: Server) -> None:
    state = json.dumps({"mail": "My parcel 4711 has not come, and nobody answers. " * 60})
    questions = {
        f"q{number}": {"type": "noul", "instructions": f"Is parcel {4700 + number} named?"}
        for number in range(24)
    }
    body = {"model": "smollm2:135m", "state": state, "questions": questions}

    answer = post(model_server, "/v1/systemone", body).json()

    tokens = answer["footprint"]["tokens"]
    assert len(answer["answers"]) == 24
    assert tokens["cached"] / tokens["prompt"] >= 0.9
