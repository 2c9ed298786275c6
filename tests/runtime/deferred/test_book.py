"""A deferred request is kept once, answered by one gateway, and ends once; on both databases."""

from typing import Any

import pytest

from canteen.core.database import Connection, Tables
from canteen.core.errors import InvalidRequest, JobNotFound, Overloaded
from canteen.core.processes import GONE_AFTER_S
from canteen.runtime.deferred.book import (
    KEPT_S,
    LINES_TURN,
    MOST_ATTEMPTS,
    DeferredBook,
    Ended,
    Which,
    insert,
)
from canteen.runtime.deferred.request import Deferred, new_id
from tests.runtime.deferred.clock import Clock

DONE = Ended("done", 200, {"content-type": "application/json"}, '{"text": "grüße 😀"}')


@pytest.fixture
def ends() -> list[Deferred]:
    return []


@pytest.fixture
def book(tables: Tables, clock: Clock, ends: list[Deferred]) -> DeferredBook:
    def note(connection: Connection, one: Deferred) -> None:
        ends.append(one)

    return DeferredBook(tables, [note], clock)


def request(clock: Clock, **more: Any) -> Deferred:
    made = {"id": new_id(), "path": "/v1/chat/completions", "body": "{}"}
    times = {"created_s": clock.now_s, "deadline_s": clock.now_s + 1000}
    return Deferred(**{**made, **times, **more})


def test_what_is_kept_is_told_as_it_was(book: DeferredBook, clock: Clock) -> None:
    caller = {"id": "me", "scopes": ["llm:chat"], "models": [], "limits": {"tokens_per_day": 5}}
    one = request(clock, caller_id="me", caller=caller, headers={"baggage": "a=b"}, custom_id="c")

    book.add(one)

    assert book.get(one.id) == one
    with pytest.raises(JobNotFound):
        book.get("job_0")


def test_a_message_is_kept_once_for_each_caller(book: DeferredBook, clock: Clock) -> None:
    first = book.add(request(clock, caller_id="me", message_id="m"))
    again = book.add(request(clock, caller_id="me", message_id="m", body='{"other": 1}'))
    other = book.add(request(clock, caller_id="you", message_id="m"))

    assert again == first
    assert other.id != first.id
    assert len(book.newest()) == 2
    assert [one.id for one in book.newest("me")] == [first.id]


def test_the_oldest_are_claimed_first_and_lines_of_batches_after_all(
    tables: Tables, book: DeferredBook, clock: Clock
) -> None:
    line = request(clock, number=1, turn=LINES_TURN)
    with tables.writing() as connection:
        insert(connection, line)
    clock.now_s += 1
    first = book.add(request(clock))
    clock.now_s += 1
    second = book.add(request(clock))

    assert book.num_waiting() == 3
    assert [one.id for one in book.claim(2)] == [first.id, second.id]
    assert book.num_waiting() == 1
    assert [one.id for one in book.claim(2)] == [line.id]
    assert book.claim(2) == []


def test_what_is_finished_ends_once_with_what_was_answered(
    book: DeferredBook, clock: Clock, ends: list[Deferred]
) -> None:
    one = book.add(request(clock))
    (claimed,) = book.claim(1)

    assert book.finish(claimed, DONE)
    assert not book.finish(claimed, Ended("failed", 500))

    found = book.get(one.id)
    assert (found.state, found.status, found.answer) == ("done", 200, DONE.body)
    assert found.said == {"text": "grüße 😀"}
    assert ends == [found]


def test_another_gateway_does_not_take_what_a_living_one_is_at(
    book: DeferredBook, tables: Tables, clock: Clock
) -> None:
    other = DeferredBook(tables, (), clock)
    one = book.add(request(clock))
    (claimed,) = book.claim(1)
    clock.now_s += 100 * GONE_AFTER_S

    other.tidy()
    assert other.claim(1) == []
    assert not other.finish(claimed, DONE)
    assert book.beat() == {one.id: ""}
    assert other.beat() == {}


def test_what_a_dead_gateway_was_at_is_done_by_another(
    tables: Tables, clock: Clock, ends: list[Deferred]
) -> None:
    dead = DeferredBook(tables, (), clock, host="elsewhere")
    one = dead.add(request(clock))
    (lost,) = dead.claim(1)
    clock.now_s += GONE_AFTER_S + 1
    heir = DeferredBook(tables, [lambda _, one: ends.append(one)], clock)

    assert not heir.is_idle()
    heir.tidy()
    (claimed,) = heir.claim(1)

    assert claimed.id == one.id
    assert claimed.attempts == 2
    assert not dead.finish(lost, DONE)
    assert heir.finish(claimed, DONE)
    assert len(ends) == 1


def test_what_ends_every_gateway_is_given_up(
    tables: Tables, clock: Clock, ends: list[Deferred]
) -> None:
    one = DeferredBook(tables, (), clock).add(request(clock, deadline_s=2 * clock.now_s))
    for number in range(MOST_ATTEMPTS):
        gone = DeferredBook(tables, (), clock, host=f"gone-{number}")
        gone.tidy()
        gone.claim(1)
        clock.now_s += GONE_AFTER_S + 1
    heir = DeferredBook(tables, [lambda _, one: ends.append(one)], clock)

    heir.tidy()

    assert heir.claim(1) == []
    assert heir.get(one.id).state == "failed"
    assert "4 times" in ends[0].error


def test_what_is_postponed_comes_again_and_counts_only_where_it_is_a_fault(
    book: DeferredBook, clock: Clock
) -> None:
    book.add(request(clock))
    (claimed,) = book.claim(1)
    book.postpone(claimed.id, 10.0, is_counted=False)
    assert book.claim(1) == []

    clock.now_s += 10
    (again,) = book.claim(1)
    book.postpone(again.id, 0.0)
    (third,) = book.claim(1)

    assert (again.attempts, third.attempts) == (1, 2)


def test_what_waits_is_cancelled_at_once_and_what_runs_is_wanted_to(
    book: DeferredBook, clock: Clock, ends: list[Deferred]
) -> None:
    waits, runs = book.add(request(clock)), book.add(request(clock, id="job_a", number=0))
    claimed = [one for one in book.claim(2) if one.id == runs.id]
    book.postpone(waits.id, 0.0)

    assert book.cancel(waits.id).state == "cancelled"
    assert book.cancel(runs.id).wanted == "cancel"

    assert book.beat() == {runs.id: "cancel"}
    assert [one.id for one in ends] == [waits.id]
    assert book.finish(claimed[0], Ended("cancelled"))
    with pytest.raises(InvalidRequest, match="already"):
        book.cancel(waits.id)


def test_what_is_too_late_fails_before_it_begins(
    book: DeferredBook, clock: Clock, ends: list[Deferred]
) -> None:
    one = book.add(request(clock, deadline_s=clock.now_s + 5))
    clock.now_s += 6
    book.tidy()

    assert book.claim(1) == []
    assert book.get(one.id).state == "failed"
    assert "time" in ends[0].error


def test_what_is_over_is_kept_a_week_or_until_it_is_removed(
    book: DeferredBook, clock: Clock
) -> None:
    one, two = book.add(request(clock)), book.add(request(clock))
    for claimed in book.claim(2):
        book.finish(claimed, DONE)
    book.remove(one.id)
    waiting = book.add(request(clock, deadline_s=2 * clock.now_s))
    with pytest.raises(InvalidRequest, match="cancel it first"):
        book.remove(waiting.id)

    assert {kept.id for kept in book.newest()} == {two.id, waiting.id}
    clock.now_s += KEPT_S + 1
    book.tidy()

    assert [kept.id for kept in book.newest()] == [waiting.id]


def test_no_more_wait_than_may(tables: Tables, clock: Clock) -> None:
    book = DeferredBook(tables, (), clock, most_waiting=2)
    for _ in range(2):
        book.add(request(clock))

    with pytest.raises(Overloaded, match="2 are the most"):
        book.add(request(clock))


def test_who_has_left_many_takes_turns_with_who_has_left_few(
    book: DeferredBook, clock: Clock
) -> None:
    for _ in range(5):
        book.add(request(clock, caller_id="many"))
        clock.now_s += 1
    few = book.add(request(clock, caller_id="few"))

    assert few.id in [one.id for one in book.claim(2)]


def test_those_of_callers_and_models_that_are_refused_now_are_left_alone(
    book: DeferredBook, clock: Clock
) -> None:
    mine = book.add(request(clock, caller_id="me", model="a"))
    yours = book.add(request(clock, caller_id="you", model="b"))
    theirs = book.add(request(clock, caller_id="them", model="a"))

    left = book.claim(5, Which(None, ["me"], ["b"]))
    alone = book.claim(5, Which("me"))

    assert [one.id for one in left] == [theirs.id]
    assert [one.id for one in alone] == [mine.id]
    assert [one.id for one in book.claim(5)] == [yours.id]


def test_what_is_cancelled_on_its_way_back_to_the_queue_ends(
    book: DeferredBook, clock: Clock, ends: list[Deferred]
) -> None:
    one = book.add(request(clock))
    book.claim(1)
    book.cancel(one.id)

    book.postpone(one.id, 10.0)

    assert [(end.id, end.state) for end in ends] == [(one.id, "cancelled")]
    assert book.claim(1) == []


def test_a_gateway_that_ends_gives_back_what_it_is_at(
    tables: Tables, book: DeferredBook, clock: Clock
) -> None:
    one = book.add(request(clock))
    book.claim(1)
    book.give_back()

    (claimed,) = DeferredBook(tables, (), clock).claim(1)
    assert (claimed.id, claimed.attempts) == (one.id, 1)


def test_what_no_database_takes_is_kept_without_it(book: DeferredBook, clock: Clock) -> None:
    one = book.add(request(clock))
    (claimed,) = book.claim(1)

    assert book.finish(claimed, Ended("failed", 400, error="a\0b \ud800"))

    assert book.get(one.id).error == "a\ufffdb ?"
