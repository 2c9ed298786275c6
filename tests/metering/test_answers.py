"""Answers are kept for who asks again, and no longer or more than said; on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from canteen.core.database import Tables
from canteen.core.processes import GONE_AFTER_S
from canteen.metering.answers import KEPT_S, Answer, Answers
from canteen.metering.store import connect
from tests.databases import emptied

HELLO = Answer(200, (("content-type", "application/json"),), '{"text": "grüße 😀"}')


@pytest.fixture(params=["sqlite", "postgresql"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tables]:
    if request.param == "sqlite":
        yield connect(f"sqlite:///{tmp_path / 'canteen.db'}")
    else:
        yield connect(emptied(str(request.getfixturevalue("postgres"))))


class Clock:
    """A clock that is set."""

    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def answers(tables: Tables, clock: Clock) -> Answers:
    return Answers(tables, clock)


def test_an_answer_is_made_once_and_then_given_again(answers: Answers) -> None:
    assert answers.claim("a", "body") == "mine"
    answers.keep("a", HELLO)

    assert answers.claim("a", "body") == HELLO
    assert answers.claim("a", "another body") == "reused"
    assert answers.claim("b", "another body") == "mine"


def test_what_came_to_nothing_may_be_asked_anew(answers: Answers) -> None:
    answers.claim("a", "body")
    answers.release("a")

    assert answers.claim("a", "another body") == "mine"


def test_what_another_gateway_makes_is_waited_for(tables: Tables, clock: Clock) -> None:
    one, two = Answers(tables, clock), Answers(tables, clock)
    one.claim("a", "body")

    assert two.claim("a", "body") == "running"
    assert two.claim("a", "another body") == "reused"
    one.keep("a", HELLO)
    assert two.claim("a", "body") == HELLO


def test_what_a_gateway_left_undone_is_taken_over_by_one(tables: Tables, clock: Clock) -> None:
    dead = Answers(tables, clock, host="elsewhere")
    one, two = Answers(tables, clock), Answers(tables, clock)
    dead.claim("a", "body")

    clock.now_s += GONE_AFTER_S - 1
    dead.beat("a")
    clock.now_s += 2
    assert one.claim("a", "body") == "running"
    clock.now_s += GONE_AFTER_S
    assert one.claim("a", "another body") == "mine"
    assert two.claim("a", "another body") == "running"
    dead.keep("a", HELLO)
    assert two.claim("a", "another body") == "running"


def test_a_gateway_does_not_wait_for_what_it_makes_no_more(answers: Answers) -> None:
    answers.claim("a", "body")

    assert answers.claim("a", "body") == "mine"


def test_an_answer_is_kept_for_a_day(answers: Answers, clock: Clock) -> None:
    answers.claim("a", "body")
    answers.keep("a", HELLO)

    clock.now_s += KEPT_S - 1
    assert answers.claim("a", "body") == HELLO
    clock.now_s += 2
    assert answers.claim("a", "body") == "mine"


def test_the_oldest_go_where_all_are_too_much(tables: Tables, clock: Clock) -> None:
    answers = Answers(tables, clock, most_bytes=5000)
    for name in "abcde":
        clock.now_s += 1
        answers.claim(name, "body")
        answers.keep(name, HELLO)

    clock.now_s += 3600
    kept = [name for name in "edcba" if isinstance(answers.claim(name, "body"), Answer)]

    assert kept == ["e", "d", "c", "b"]


def test_too_large_an_answer_is_not_kept(answers: Answers) -> None:
    answers.claim("a", "body")
    answers.keep("a", Answer(200, (), "x" * (5 << 20)))

    assert answers.claim("a", "body") == "mine"
