"""Commands of a broker are answered once each, on the account of the key that is set for them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from canteen.api.app import create_app
from canteen.bootstrap import Services, build
from canteen.metering.store import connect
from canteen.runtime.deferred.broker import Message, TableBroker
from canteen.settings import Settings
from tests.e2e.chats import until
from tests.runtime.deferred.test_command import ENVELOPE
from tests.serving import key_of, set_pace

CHAT = {"model": "echo", "messages": [{"role": "user", "content": "one two"}]}


class Channels:
    """Both ends of a broker, as its users have them."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self.tables = connect(self.url, is_own=False)
        self.broker = TableBroker(self.tables, is_postgresql=False)
        self.broker.open()

    def send(self, body: Any, name: str = "1", **headers: str) -> None:
        told = ENVELOPE | {"ce_id": name} | headers
        text = body if isinstance(body, str) else json.dumps(body)
        self.broker.publish(Message("canteen.commands", name, told, text))

    def rows(self, channel: str) -> list[dict[str, Any]]:
        question = "SELECT * FROM canteen_messages WHERE channel = :channel ORDER BY created_s"
        with self.tables.reading() as connection:
            return connection.execute(question, {"channel": channel})

    async def replies(self, num: int) -> list[tuple[dict[str, str], Any]]:
        """So many replies, once they are there."""
        await until(lambda: len(self.rows("orders.replies")) >= num)
        rows = self.rows("orders.replies")
        return [(json.loads(row["headers"]), json.loads(row["body"])) for row in rows]


@pytest.fixture
def channels(tmp_path: Path) -> Channels:
    return Channels(tmp_path / "broker.db")


@asynccontextmanager
async def consuming(home: Path, channels: Channels, **told: Any) -> AsyncIterator[Services]:
    """While a service takes what is sent."""
    services = build(Settings(home=home, broker=channels.url, **told))
    app = create_app(services, lambda line: None)
    app.background.start()
    yield services
    await app.background.close()
    await services.close()


async def test_a_command_is_answered_and_taken_out(echo_home: Path, channels: Channels) -> None:
    channels.send(CHAT)
    async with consuming(echo_home, channels):
        ((headers, body),) = await channels.replies(1)

    assert headers["ce_type"] == "llm.chat.completed.v1"
    assert headers["correlation-id"] == "1"
    assert body["choices"][0]["message"]["content"] == "one two"
    assert headers["x-canteen-receipt"] == body["footprint"]["id"]
    assert channels.rows("canteen.commands") == []


async def test_what_comes_again_is_not_answered_again(echo_home: Path, channels: Channels) -> None:
    async with consuming(echo_home, channels) as services:
        channels.send(CHAT)
        await channels.replies(1)
        channels.send(CHAT)
        await until(lambda: not channels.rows("canteen.commands"))
        channels.send(CHAT, "2")
        replies = await channels.replies(2)

        jobs = services.deferred.book.newest()

    assert [headers["correlation-id"] for headers, _ in replies] == ["1", "2"]
    assert len(jobs) == 2


async def test_a_body_that_its_route_refuses_is_a_reply_that_says_so(
    echo_home: Path, channels: Channels
) -> None:
    channels.send(CHAT | {"top_p": 7})
    async with consuming(echo_home, channels):
        ((headers, body),) = await channels.replies(1)

    assert headers["ce_type"] == "llm.chat.failed.v1"
    assert body["status"] == 400
    assert "top_p" in body["detail"]


async def test_what_is_no_command_is_put_aside_with_the_reason(
    echo_home: Path, channels: Channels
) -> None:
    channels.send("{", "bad")
    channels.send(CHAT, "nul", ce_id="a\0")
    channels.send(CHAT, "good")
    with channels.tables.writing() as connection:
        connection.execute(
            "INSERT INTO canteen_messages (channel, id, headers, body) "
            "VALUES ('canteen.commands', 'worse', 'no headers', '{}')"
        )
    async with consuming(echo_home, channels):
        replies = await channels.replies(2)

    told = {headers["ce_type"]: body for headers, body in replies}
    assert told["llm.chat.completed.v1"]["choices"]
    assert told["llm.chat.failed.v1"]["status"] == 400
    aside = {row["id"]: row["rejected"] for row in channels.rows("canteen.commands")}
    assert aside.keys() == {"bad", "worse", "nul"}
    assert "not valid JSON" in aside["bad"]
    assert "no header ce_id" in aside["worse"]


async def test_messages_are_counted_on_the_key_that_is_set_for_them(
    echo_home: Path, channels: Channels
) -> None:
    key_id, shown = key_of(echo_home, "orders", models=("echo",))
    channels.send(CHAT)
    async with consuming(echo_home, channels, broker_key=shown, keys="on") as services:
        await channels.replies(1)
        (job,) = services.deferred.book.newest()

    assert job.caller is not None
    assert job.caller["id"] == key_id


async def test_without_a_good_key_commands_wait(
    echo_home: Path, channels: Channels, caplog: pytest.LogCaptureFixture
) -> None:
    key_of(echo_home, "somebody")
    channels.send(CHAT)
    async with consuming(echo_home, channels, broker_key="canteen_wrong", keys="on"):
        await until(lambda: "CANTEEN_BROKER_KEY is no good" in caplog.text)

    assert len(channels.rows("canteen.commands")) == 1
    assert channels.rows("orders.replies") == []


async def test_a_command_that_is_taken_back_ends_and_its_sender_is_told(
    echo_home: Path, channels: Channels
) -> None:
    set_pace(echo_home, tokens_per_s=20.0)
    channels.send(CHAT | {"max_tokens": 4000})
    async with consuming(echo_home, channels):
        await until(lambda: not channels.rows("canteen.commands"))
        channels.send({"id": "1"}, "2", ce_type="llm.cancel.requested.v1")
        ((headers, body),) = await channels.replies(1)

    assert headers["ce_type"] == "llm.chat.failed.v1"
    assert headers["correlation-id"] == "1"
    assert "cancelled" in body["detail"]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, '{"model": "\\ud800"}'),
        ({}, '{"model": "a\\u0000"}'),
        ({"reply-to": "\ud800"}, "{}"),
        ({"reply-to": "a\0", "deadline": "2020-01-01T00:00:00Z"}, "{}"),
        ({"correlation-id": "\ud800"}, "{}"),
        ({"ce_type": "nothing", "reply-to": "\ud800"}, "{}"),
        ({"traceparent": "\ud800", "baggage": "grüße"}, "{}"),
    ],
    ids=str,
)
async def test_an_odd_message_holds_up_no_other(
    echo_home: Path, channels: Channels, headers: dict[str, str], body: str
) -> None:
    channels.send(body, "odd", **headers)
    channels.send(CHAT, "good")
    async with consuming(echo_home, channels) as services:
        await until(lambda: "good" in {told for told, _ in answered(channels)})
        await until(lambda: services.deferred.book.is_idle())


def answered(channels: Channels) -> list[tuple[str, Any]]:
    """The replies so far, by the ids of their commands."""
    rows = channels.rows("orders.replies")
    return [(json.loads(row["headers"])["correlation-id"], row["body"]) for row in rows]


async def test_headers_that_are_nested_too_deeply_hold_up_nobody(
    echo_home: Path, channels: Channels
) -> None:
    with channels.tables.writing() as connection:
        connection.execute(
            "INSERT INTO canteen_messages (channel, id, headers, body) "
            "VALUES ('canteen.commands', 'deep', :deep, '{}')",
            {"deep": "[" * 200_000},
        )
    channels.send(CHAT, "good")
    async with consuming(echo_home, channels):
        await channels.replies(1)


async def test_a_command_that_comes_after_what_takes_it_back_is_taken_back(
    echo_home: Path, channels: Channels
) -> None:
    set_pace(echo_home, tokens_per_s=20.0)
    channels.send({"id": "2"}, "1", ce_type="llm.cancel.requested.v1")
    async with consuming(echo_home, channels) as services:
        await until(lambda: channels.rows("canteen.commands")[0]["attempts"] == 1)
        channels.send(CHAT | {"max_tokens": 4000}, "2")
        await until(lambda: services.deferred.book.newest() != [])
        with channels.tables.writing() as connection:
            connection.execute("UPDATE canteen_messages SET due_s = 0")
        ((headers, _),) = await channels.replies(1)

    assert headers["ce_type"] == "llm.chat.failed.v1"
