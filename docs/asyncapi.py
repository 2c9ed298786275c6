"""The AsyncAPI 3 document of the message interface, made from the types of commands."""

from typing import Any

from canteen.core.version import VERSION
from canteen.runtime.deferred.command import CANCEL, COMPLETED, FAILED, PATHS, REQUESTED

_SCHEMAS = "#/components/schemas/"
_ENVELOPE = {
    "ce_specversion": "the version of CloudEvents, 1.0",
    "ce_id": "the message's id, unique for its source, and the same however often it comes",
    "ce_source": "who sends",
    "ce_type": "what is asked, or answered",
}
_COMMAND = {
    "reply-to": "the channel of the reply; without one there is none",
    "correlation-id": "comes back in the reply; else ce_id does",
    "deadline": "until when it is wanted, as ISO 8601 has it",
    "traceparent": "the trace that it is part of",
}
_REPLY = {
    "correlation-id": "that of the command",
    "x-canteen-receipt": "the id of the receipt, where a model has worked",
}
_CANCEL = {
    "type": "object",
    "properties": {"id": {"type": "string", "description": "ce_id of the command to take back"}},
    "required": ["id"],
}
_FAILURE = {
    "type": "object",
    "properties": {
        "status": {"type": ["integer", "null"], "description": "that of HTTP, if answered at all"},
        "detail": {"type": "string", "description": "why"},
        "answer": {"description": "the error as its route says it"},
    },
    "required": ["status", "detail", "answer"],
}


def asyncapi(openapi: dict[str, Any]) -> dict[str, Any]:
    """The document, whose payloads are those of the routes in an OpenAPI document."""
    messages: dict[str, Any] = {}
    for stem, path in PATHS.items():
        operation = openapi["paths"][path]["post"]
        asked = operation["requestBody"]["content"]["application/json"]["schema"]
        said = operation["responses"]["200"]["content"]["application/json"]["schema"]
        messages[stem + REQUESTED] = _message(stem + REQUESTED, _COMMAND, asked)
        messages[stem + COMPLETED] = _message(stem + COMPLETED, _REPLY, said)
        messages[stem + FAILED] = _message(stem + FAILED, _REPLY, _FAILURE)
    messages[CANCEL] = _message(CANCEL, {}, _CANCEL)
    requested = [name for name in messages if name.endswith(REQUESTED)]
    replies = [name for name in messages if not name.endswith(REQUESTED)]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Canteen",
            "version": VERSION,
            "description": "Commands to language models, and replies, as CloudEvents in binary "
            "mode: the headers of a row of canteen_messages, and its body.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "commands": _channel("canteen.commands", requested),
            "replies": _channel(None, replies),
        },
        "operations": {
            "answer": {
                "action": "receive",
                "channel": {"$ref": "#/channels/commands"},
                "reply": {
                    "address": {"location": "$message.header#/reply-to"},
                    "channel": {"$ref": "#/channels/replies"},
                },
            }
        },
        "components": {
            "messages": messages,
            "schemas": _named_in(messages, openapi["components"]["schemas"]),
        },
    }


def _named_in(value: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """The schemas that are referred to, and those that these refer to."""
    found: dict[str, Any] = {}
    level = [value]
    while level:
        one = level.pop()
        name = str(one.get("$ref", "")).removeprefix(_SCHEMAS) if isinstance(one, dict) else ""
        if name in schemas and name not in found:
            found[name] = schemas[name]
            level.append(schemas[name])
        level += one.values() if isinstance(one, dict) else one if isinstance(one, list) else []
    return dict(sorted(found.items()))


def _channel(address: str | None, names: list[str]) -> dict[str, Any]:
    messages = {name: {"$ref": f"#/components/messages/{name}"} for name in names}
    return {"address": address, "messages": messages}


def _message(name: str, more: dict[str, str], payload: Any) -> dict[str, Any]:
    told = _ENVELOPE | more
    texts = {header: {"type": "string", "description": said} for header, said in told.items()}
    headers = {
        "type": "object",
        "properties": texts | {"ce_type": {"const": name}},
        "required": ["ce_id", "ce_source", "ce_type"],
    }
    return {"name": name, "headers": headers, "payload": payload}
