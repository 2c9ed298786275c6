"""Every broker carries each message at least once, and puts aside what cannot be read."""

from pathlib import Path

import pytest

from canteen.metering.store import connect
from canteen.runtime.deferred.broker import TAKEN_S, Broker, Message, TableBroker
from tests.databases import emptied
from tests.runtime.deferred.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def broker(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Broker:
    is_postgresql = request.param == "postgresql"
    url = f"sqlite:///{tmp_path / 'broker.db'}"
    if is_postgresql:
        url = emptied(str(request.getfixturevalue("postgres")))
    made = TableBroker(connect(url, is_own=False), is_postgresql=is_postgresql, clock=clock)
    made.open()
    made.open()
    return made


def message(number: int = 1, channel: str = "commands") -> Message:
    return Message(channel, f"m-{number}", {"ce_type": "grüße"}, '{"text": "😀"}')


def ids(messages: list[Message]) -> list[str]:
    return [one.id for one in messages]


def test_what_is_published_is_received_as_it_was_once_for_each_id(broker: Broker) -> None:
    broker.publish(message())
    broker.publish(message())

    (got,) = broker.receive("commands", 10)

    assert (got.id, got.headers, got.body) == ("m-1", message().headers, message().body)


def test_a_channel_has_its_own_messages(broker: Broker) -> None:
    broker.publish(message())
    broker.publish(message(channel="replies"))

    assert broker.receive("other", 10) == []
    assert ids(broker.receive("replies", 10)) == ["m-1"]
    assert ids(broker.receive("commands", 10)) == ["m-1"]


def test_the_oldest_come_first_and_no_more_than_asked_for(broker: Broker, clock: Clock) -> None:
    for number in (1, 2, 3):
        clock.now_s += 1
        broker.publish(message(number))

    assert sorted(ids(broker.receive("commands", 2))) == ["m-1", "m-2"]
    assert ids(broker.receive("commands", 2)) == ["m-3"]


def test_what_is_not_settled_comes_again(broker: Broker, clock: Clock) -> None:
    broker.publish(message())
    (first,) = broker.receive("commands", 10)
    assert broker.receive("commands", 10) == []

    clock.now_s += TAKEN_S
    (again,) = broker.receive("commands", 10)
    broker.settle(again)
    clock.now_s += TAKEN_S

    assert (first.attempts, again.attempts) == (1, 2)
    assert broker.receive("commands", 10) == []


def test_what_is_rejected_comes_no_more(broker: Broker, clock: Clock) -> None:
    broker.publish(message())
    broker.reject(broker.receive("commands", 10)[0], "it is no command")
    clock.now_s += TAKEN_S

    assert broker.receive("commands", 10) == []
