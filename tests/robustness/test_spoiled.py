"""Good requests, each spoiled in one way: JSON, numbers, text, and the bytes themselves."""

import json
import random

import httpx
import pytest

from tests.robustness.answers import problem_with
from tests.robustness.damage import GOOD, SPOILS
from tests.serving import Server

NUM_CASES = 250
NUM_CASES_SLOW = 2500


def ask_spoiled(server: Server, path: str, num_cases: int) -> None:
    """The same requests at every run."""
    chance = random.Random(path)
    good = json.dumps(GOOD[path]).encode()
    problems = []
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for _ in range(num_cases):
            bad = chance.choice(SPOILS)(chance, good)
            answer = client.post(path, content=bad, headers={"content-type": "application/json"})
            problem = problem_with(answer.status_code, answer.headers, answer.content, path)
            if problem:
                problems.append(f"{problem}\n  asked: {bad[:2000]!r}")
    assert problems == []


@pytest.mark.parametrize("path", GOOD)
def test_what_is_spoiled_was_good(target: Server, path: str) -> None:
    answer = httpx.post(target.url + path, json=GOOD[path], timeout=30)

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", GOOD)
def test_a_spoiled_request_is_answered_or_refused(target: Server, path: str) -> None:
    ask_spoiled(target, path, NUM_CASES)


@pytest.mark.slow
@pytest.mark.parametrize("path", GOOD)
def test_thirty_thousand_spoiled_requests_are_answered_or_refused(
    target: Server, path: str
) -> None:
    ask_spoiled(target, path, NUM_CASES_SLOW)
