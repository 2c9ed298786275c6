"""A message is a command if its envelope says so, and its reply is one that its sender knows."""

import json
from dataclasses import replace
from typing import Any

import pytest

from canteen.core.errors import InvalidRequest
from canteen.runtime.deferred.command import (
    PATHS,
    Cancel,
    Command,
    command_of,
    refusal_of,
    reply_of,
)
from canteen.runtime.deferred.request import Deferred

ENVELOPE = {
    "ce_specversion": "1.0",
    "ce_id": "42",
    "ce_source": "/orders",
    "ce_type": "llm.chat.requested.v1",
    "reply-to": "orders.replies",
}
BODY = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "grüße 😀"}]})


def over(headers: dict[str, str], **more: Any) -> Deferred:
    """The request of a command, when it is done."""
    command = asked(headers)
    told: dict[str, Any] = {"state": "done", "status": 200, "answer": '{"text": "hi"}'}
    told |= {"answer_headers": {"x-canteen-receipt": "rcpt_1"}, "ended_s": 1_800_000_000.5}
    one = Deferred("job_1", command.path, command.body, 0.0, 1.0, reply=command.reply)
    return replace(one, headers=command.headers, **{**told, **more})


def asked(headers: dict[str, str], body: str = BODY) -> Command:
    command = command_of(headers, body)
    assert isinstance(command, Command)
    return command


def replied(one: Deferred) -> tuple[dict[str, str], str]:
    return reply_of(one, one.reply["message"], "msg_1")


@pytest.mark.parametrize(("stem", "path"), list(PATHS.items()))
def test_the_type_of_a_command_says_where_it_is_answered(stem: str, path: str) -> None:
    command = asked(ENVELOPE | {"ce_type": f"{stem}.requested.v1"})

    assert command.path == path
    assert command.message_id == '["/orders", "42"]'
    assert json.loads(command.body) == json.loads(BODY) | {"stream": False, "background": False}


@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_type"])
def test_an_envelope_that_lacks_something_is_no_command(name: str) -> None:
    headers = {key: text for key, text in ENVELOPE.items() if key != name}

    with pytest.raises(InvalidRequest, match=f"no header {name}"):
        command_of(headers, BODY)


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        ({"ce_type": "llm.chat.completed.v1"}, BODY, "ce_type is one of"),
        ({"ce_type": "llm.chat"}, BODY, "ce_type is one of"),
        ({"ce_specversion": "2.0"}, BODY, "must be 1.0"),
        ({"deadline": "soon"}, BODY, "ISO 8601"),
        ({}, "{", "not valid JSON"),
        ({}, "[]", "must be a JSON object"),
        ({}, "[" * 100_000, "not valid JSON"),
        ({"ce_id": "a\0"}, BODY, "printable ASCII"),
        ({"ce_type": "llm.cancel.requested.v1"}, "{}", "ce_id of the command"),
    ],
)
def test_what_cannot_be_read_is_no_command(headers: dict[str, str], body: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        command_of(ENVELOPE | headers, body)


def test_names_of_headers_are_the_same_in_any_case() -> None:
    headers = {name.upper(): text for name, text in ENVELOPE.items()}

    assert command_of(headers, BODY) == command_of(ENVELOPE, BODY)


def test_a_deadline_is_an_instant() -> None:
    at = asked(ENVELOPE | {"deadline": "2026-12-24T18:00:00Z"}).deadline_s
    zoned = asked(ENVELOPE | {"deadline": "2026-12-24T19:00:00+01:00"}).deadline_s
    plain = asked(ENVELOPE | {"deadline": "2026-12-24T18:00:00"}).deadline_s

    assert at == zoned == plain == 1_798_135_200


def test_who_wants_no_reply_gets_none() -> None:
    headers = {name: text for name, text in ENVELOPE.items() if name != "reply-to"}

    assert asked(headers).reply == {}


def test_the_reply_joins_with_its_command_its_trace_and_its_receipt() -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    headers, body = replied(over(ENVELOPE | {"traceparent": parent, "correlation-id": "order-7"}))

    assert headers["ce_type"] == "llm.chat.completed.v1"
    assert headers["ce_id"] == "msg_1"
    assert headers["ce_time"] == "2027-01-15T08:00:00.500+00:00"
    assert headers["correlation-id"] == "order-7"
    assert headers["traceparent"] == parent
    assert headers["x-canteen-receipt"] == "rcpt_1"
    assert body == '{"text": "hi"}'


def test_the_reply_to_what_failed_says_why() -> None:
    refused = {"status": 404, "error": "no model", "answer": '{"error": {"code": "x"}}'}

    headers, body = replied(over(ENVELOPE, state="failed", **refused))

    assert headers["ce_type"] == "llm.chat.failed.v1"
    assert headers["correlation-id"] == "42"
    assert json.loads(body) == {
        "status": 404,
        "detail": "no model",
        "answer": {"error": {"code": "x"}},
    }


@pytest.mark.parametrize(("state", "outcome"), [("done", "SUCCESS"), ("failed", "FAILURE")])
def test_a_command_of_eventuate_tram_is_answered_as_its_saga_expects(
    state: str, outcome: str
) -> None:
    tram = {
        "command_type": "com.example.Reply",
        "command_reply_to": "saga-reply",
        "command__destination": "canteen.commands",
        "command_saga_id": "7",
    }
    headers = {name: text for name, text in ENVELOPE.items() if name != "reply-to"} | tram
    one = over(headers, state=state)

    told, _ = replied(one)

    assert one.reply["message"]["channel"] == told["DESTINATION"] == "saga-reply"
    assert told["reply_outcome-type"] == outcome
    assert told["reply_to_message_id"] == "42"
    assert told["commandreply_saga_id"] == "7"
    assert told["commandreply__destination"] == "canteen.commands"


def test_a_command_is_taken_back_by_its_id() -> None:
    headers = ENVELOPE | {"ce_type": "llm.cancel.requested.v1", "ce_id": "43"}

    assert command_of(headers, '{"id": "42"}') == Cancel(asked(ENVELOPE).message_id)


def test_names_of_messages_do_not_run_into_each_other() -> None:
    one = asked(ENVELOPE | {"ce_source": "/a#b", "ce_id": "c"})
    other = asked(ENVELOPE | {"ce_source": "/a", "ce_id": "b#c"})

    assert one.message_id != other.message_id


def test_what_is_no_command_is_told_to_its_sender_where_that_can_be() -> None:
    told = refusal_of(ENVELOPE | {"deadline": "soon"}, "no deadline", "msg_1")
    nobody = refusal_of({"ce_id": "1"}, "no type", "msg_1")

    assert told is not None
    channel, headers, body = told
    assert channel == "orders.replies"
    assert headers["ce_type"] == "llm.chat.failed.v1"
    assert json.loads(body)["detail"] == "no deadline"
    assert nobody is None


def test_a_body_that_is_no_text_stays_as_it_was_written() -> None:
    command = asked(ENVELOPE, '{"input": "\\ud800"}')

    command.body.encode()
    assert json.loads(command.body)["input"] == "\ud800"
