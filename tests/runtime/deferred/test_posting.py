"""A letter of the outbox is sent at least once, later if need be, and not for ever."""

import asyncio
from contextlib import suppress

import pytest

from canteen.core.database import Tables
from canteen.core.errors import EngineError
from canteen.runtime.deferred.outbox import KEPT_S, PAUSES_S, TAKEN_S, Letter, Outbox, put
from canteen.runtime.deferred.posting import Post, Undelivered
from tests.e2e.chats import until
from tests.runtime.deferred.clock import Clock


@pytest.fixture
def outbox(tables: Tables, clock: Clock) -> Outbox:
    return Outbox(tables, clock)


def write(tables: Tables, clock: Clock, letter_id: str = "msg_1") -> Letter:
    letter = Letter(letter_id, "webhook", "http://there", {"a": "b"}, "grüße", clock.now_s)
    with tables.writing() as connection:
        put(connection, letter)
    return letter


def test_a_letter_is_taken_by_one_and_given_to_another_where_nothing_comes_of_it(
    tables: Tables, clock: Clock, outbox: Outbox
) -> None:
    letter = write(tables, clock)

    (taken,) = outbox.take(5, ["webhook"])
    assert taken.attempts == 1
    assert (taken.id, taken.headers, taken.body) == (letter.id, letter.headers, letter.body)
    assert outbox.take(5, ["webhook"]) == []

    clock.now_s += TAKEN_S + 1
    (again,) = outbox.take(5, ["webhook"])
    assert (again.id, again.attempts) == (letter.id, 2)


def test_a_letter_of_a_transaction_that_fails_is_never_sent(
    tables: Tables, clock: Clock, outbox: Outbox
) -> None:
    write(tables, clock)
    lost = Letter("msg_2", "webhook", "", {}, "", clock.now_s)
    with suppress(EngineError), tables.writing() as connection:
        put(connection, lost)
        put(connection, lost)

    assert [one.id for one in outbox.take(5, ["webhook"])] == ["msg_1"]


def test_what_arrived_is_not_sent_again(tables: Tables, clock: Clock, outbox: Outbox) -> None:
    write(tables, clock)
    clock.now_s += 3
    assert outbox.lag_s() == 3
    (taken,) = outbox.take(5, ["webhook"])
    outbox.sent(taken)
    clock.now_s += 1000

    assert outbox.is_empty()
    assert outbox.take(5, ["webhook"]) == []
    assert outbox.lag_s() == 0


def test_what_fails_is_sent_later_and_later_and_given_up_at_last(
    tables: Tables, clock: Clock, outbox: Outbox
) -> None:
    write(tables, clock)
    for pause_s in PAUSES_S:
        (taken,) = outbox.take(5, ["webhook"])
        outbox.failed(taken, "nobody there")
        clock.now_s += pause_s - 0.5
        assert outbox.take(5, ["webhook"]) == []
        clock.now_s += 0.5
    (last,) = outbox.take(5, ["webhook"])
    outbox.failed(last, "nobody there")
    clock.now_s += 1e6

    assert outbox.take(5, ["webhook"]) == []
    assert outbox.lag_s() == 0


def test_what_is_old_and_sent_is_forgotten(tables: Tables, clock: Clock, outbox: Outbox) -> None:
    write(tables, clock, "sent")
    (taken,) = outbox.take(5, ["webhook"])
    outbox.sent(taken)
    write(tables, clock, "waits")
    clock.now_s += KEPT_S + 1
    outbox.tidy()

    with tables.reading() as connection:
        assert connection.execute("SELECT id FROM outbox") == [{"id": "waits"}]


async def test_the_post_sends_what_there_is_and_tries_again(
    tables: Tables, clock: Clock, outbox: Outbox
) -> None:
    write(tables, clock)
    sent: list[str] = []
    has_come = asyncio.Event()

    async def send(letter: Letter) -> None:
        sent.append(letter.id)
        if len(sent) == 1:
            clock.now_s += PAUSES_S[0]
            raise Undelivered("not now")
        has_come.set()

    post = Post(outbox, {"webhook": send}, lambda lag_s: None)
    post.start()
    while not has_come.is_set():
        clock.now_s += PAUSES_S[0]
        post.wake()
        await asyncio.wait([asyncio.ensure_future(has_come.wait())], timeout=0.05)
    await post.close()

    assert sent == ["msg_1", "msg_1"]


async def test_what_nobody_is_set_to_send_waits(
    tables: Tables, clock: Clock, outbox: Outbox
) -> None:
    write(tables, clock)
    looked = asyncio.Event()
    post = Post(outbox, {"message": unsent}, lambda lag_s: looked.set())
    post.start()
    await looked.wait()
    await post.close()

    assert [one.attempts for one in outbox.take(5, ["webhook"])] == [1]


async def unsent(letter: Letter) -> None:
    raise AssertionError(letter)


async def test_one_that_is_taken_slowly_and_one_that_is_a_fault_hold_up_no_other(
    tables: Tables, clock: Clock, outbox: Outbox
) -> None:
    for name in ("slow", "faulty", "good"):
        write(tables, clock, name)
    has_come = asyncio.Event()

    async def send(letter: Letter) -> None:
        if letter.id == "slow":
            await asyncio.Event().wait()
        if letter.id == "faulty":
            raise KeyError("ours")
        has_come.set()

    post = Post(outbox, {"webhook": send}, lambda lag_s: None, patience_s=0.5)
    post.start()
    await has_come.wait()
    await until(lambda: errors(tables).keys() == {"slow", "faulty"})
    await post.close()

    assert "within 0.5 s" in errors(tables)["slow"]
    assert "something went wrong" in errors(tables)["faulty"]


def errors(tables: Tables) -> dict[str, str]:
    """Why letters have not arrived, so far."""
    with tables.reading() as connection:
        rows = connection.execute("SELECT id, error FROM outbox WHERE error <> ''")
    return {row["id"]: row["error"] for row in rows}


async def test_many_to_one_that_is_slow_leave_room_for_others(
    tables: Tables, clock: Clock, outbox: Outbox
) -> None:
    for number in range(30):
        write(tables, clock, f"slow-{number}")
    clock.now_s += 1
    other = Letter("other", "webhook", "http://elsewhere", {}, "", clock.now_s)
    with tables.writing() as connection:
        put(connection, other)
    has_come = asyncio.Event()

    async def send(letter: Letter) -> None:
        if letter.id != "other":
            await asyncio.Event().wait()
        has_come.set()

    post = Post(outbox, {"webhook": send}, lambda lag_s: None)
    post.start()
    await has_come.wait()
    await post.close()
