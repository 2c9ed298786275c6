"""Commands and replies as CloudEvents 1.0, in binary mode: the envelope is in the headers. Pure.

A command of Eventuate Tram (https://eventuate.io) is answered with the headers of its replies, so
that a request to a model is a step of a saga.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.runtime.deferred.request import RECEIPT, Deferred, storable

SPEC_VERSION = "1.0"
SOURCE = "/canteen"
# Where a command of such a type is answered.
PATHS = {
    "llm.chat": "/v1/chat/completions",
    "llm.completion": "/v1/completions",
    "llm.response": "/v1/responses",
    "llm.embedding": "/v1/embeddings",
    "llm.decision": "/v1/decisions",
    "llm.rerank": "/v1/rerank",
    "llm.summarize": "/v1/tasks/summarize",
    "llm.rewrite": "/v1/tasks/rewrite",
    "llm.classify": "/v1/tasks/classify",
    "llm.extract": "/v1/tasks/extract",
}
REQUESTED, COMPLETED, FAILED = ".requested.v1", ".completed.v1", ".failed.v1"
# Of Eventuate Tram: what a reply has of its command's headers, under such names.
_TRAM, _TRAM_REPLY = "command_", "commandreply_"
TRACE = ("traceparent", "tracestate")
_PASSED = (*TRACE, "baggage")
# What takes a command back, by the ce_id of it.
CANCEL = "llm.cancel.requested.v1"
_SANE = re.compile(r"[\x20-\x7e]+")
_LATIN = re.compile(r"[\x20-\x7e\xa0-\xff]*")


@dataclass(frozen=True, slots=True)
class Command:
    """What a message asks for. `reply` is kept with it, to make the reply of; `deadline_s` is
    seconds since 1970."""

    message_id: str
    path: str
    body: str
    headers: Mapping[str, str]
    reply: Mapping[str, Any]
    deadline_s: float | None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Takes a command back: the one of this name."""

    message_id: str


def command_of(headers: Mapping[str, str], body: str) -> Command | Cancel:
    """The command in a message; raises InvalidRequest where it is none, saying why."""
    told = {name.lower(): text for name, text in headers.items()}
    for name in ("ce_id", "ce_source", "ce_type"):
        if not told.get(name):
            raise InvalidRequest(f"the message has no header {name}", param=name)
        if not _SANE.fullmatch(told[name]):
            raise InvalidRequest(f"{name} must be printable ASCII", param=name)
    if told.get("ce_specversion", SPEC_VERSION) != SPEC_VERSION:
        raise InvalidRequest("ce_specversion must be 1.0", param="ce_specversion")
    if told["ce_type"] == CANCEL:
        return Cancel(_name(told["ce_source"], _taken_back(body)))
    if _channel(told) and not _SANE.fullmatch(_channel(told)):
        raise InvalidRequest("reply-to must be printable ASCII", param="reply-to")
    stem = told["ce_type"].removesuffix(REQUESTED)
    if stem not in PATHS or stem == told["ce_type"]:
        known = ", ".join(PATHS)
        said = f"ce_type is one of {known} and {REQUESTED}, or {CANCEL}"
        raise InvalidRequest(said, param="ce_type")
    return Command(
        message_id=_name(told["ce_source"], told["ce_id"]),
        path=PATHS[stem],
        body=_checked(body),
        headers={name: told[name] for name in _PASSED if _LATIN.fullmatch(told.get(name, "\0"))},
        reply={"message": _reply(told, stem)} if _channel(told) else {},
        deadline_s=_deadline_s(told.get("deadline", "")),
    )


def refusal_of(
    headers: Mapping[str, str], why: str, reply_id: str
) -> tuple[str, dict[str, str], str] | None:
    """The channel, the headers and the body of the reply to what is no command, if it says where
    to reply at all."""
    told = {name.lower(): text for name, text in headers.items()}
    channel, ce_id = _channel(told), told.get("ce_id", "")
    if not _SANE.fullmatch(channel) or not _SANE.fullmatch(ce_id):
        return None
    stem = told.get("ce_type", "").removesuffix(REQUESTED)
    reply = _reply(told, stem if stem in PATHS else "llm.command")
    one = Deferred("", "", "", 0.0, 0.0, state="failed", ended_s=time.time(), error=why, status=400)
    return channel, *reply_of(one, reply, reply_id)


def reply_of(one: Deferred, reply: Mapping[str, Any], reply_id: str) -> tuple[dict[str, str], str]:
    """The headers and the body of the reply to a command that is over."""
    is_done = one.state == "done"
    assert one.ended_s is not None
    headers = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": reply_id,
        "ce_source": SOURCE,
        "ce_type": reply["type"] + (COMPLETED if is_done else FAILED),
        "ce_time": datetime.fromtimestamp(one.ended_s, UTC).isoformat(timespec="milliseconds"),
        "content-type": "application/json",
        "correlation-id": reply["correlation_id"],
        **{name: text for name, text in one.headers.items() if name in _PASSED},
    }
    if one.answer_headers.get(RECEIPT):
        headers[RECEIPT] = one.answer_headers[RECEIPT]
    if reply.get("echoed"):
        headers |= _tram(reply, reply_id, is_done=is_done)
    failure = {"status": one.status, "detail": one.error, "answer": one.said or None}
    return headers, one.answer if is_done else json.dumps(failure, ensure_ascii=False)


def _tram(reply: Mapping[str, Any], reply_id: str, *, is_done: bool) -> dict[str, str]:
    outcome = "SUCCESS" if is_done else "FAILURE"
    echoed = {
        _TRAM_REPLY + name.removeprefix(_TRAM): text for name, text in reply["echoed"].items()
    }
    return {
        "ID": reply_id,
        "DESTINATION": reply["channel"],
        "reply_type": f"io.eventuate.tram.commands.common.{outcome.capitalize()}",
        "reply_outcome-type": outcome,
        "reply_to_message_id": reply["tram_id"],
        **echoed,
    }


def _name(source: str, message_id: str) -> str:
    """What no other message is called."""
    return json.dumps([source, message_id])


def _taken_back(body: str) -> str:
    """The ce_id in the body of what takes a command back."""
    said = json.loads(_checked(body)).get("id")
    if not isinstance(said, str):
        raise InvalidRequest("the body must have the ce_id of the command as id", param="id")
    return said


def _channel(told: Mapping[str, str]) -> str:
    return told.get("reply-to") or told.get("command_reply_to") or ""


def _reply(told: Mapping[str, str], stem: str) -> dict[str, Any]:
    return {
        "channel": _channel(told),
        "type": stem,
        "tram_id": storable(told.get("id") or told["ce_id"]),
        "correlation_id": storable(told.get("correlation-id") or told["ce_id"]),
        "echoed": {name: storable(text) for name, text in told.items() if name.startswith(_TRAM)},
    }


def _checked(body: str) -> str:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise InvalidRequest(f"the body is not valid JSON: {exc}", param="body") from exc
    if not isinstance(said, dict):
        raise InvalidRequest("the body must be a JSON object", param="body")
    # Escapes of what is no text in UTF-8 stay escapes.
    return json.dumps({**said, "stream": False, "background": False})


def _deadline_s(text: str) -> float | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as exc:
        raise InvalidRequest(
            "deadline is a time as ISO 8601 has it: 2026-12-24T18:00:00Z", param="deadline"
        ) from exc
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
