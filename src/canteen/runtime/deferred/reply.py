"""What is told of the end of a deferred request, and to whom: written as it ends."""

import json
from datetime import UTC, datetime

from canteen.core.database import Connection
from canteen.runtime.deferred import webhook
from canteen.runtime.deferred.command import TRACE, reply_of
from canteen.runtime.deferred.outbox import Letter, new_letter_id, put
from canteen.runtime.deferred.request import Deferred, told

MESSAGE = "message"


def write(connection: Connection, one: Deferred) -> None:
    """Have the end told to whoever wants to know."""
    if one.reply.get("webhook"):
        put(connection, _webhook(one))
    if one.reply.get("message"):
        put(connection, _message(one))


def _webhook(one: Deferred) -> Letter:
    assert one.ended_s is not None
    at = datetime.fromtimestamp(one.ended_s, UTC).isoformat(timespec="milliseconds")
    body = json.dumps({"type": f"job.{one.state}", "timestamp": at, "data": told(one)})
    url = one.reply["webhook"]
    # What callers tell their own services is nothing for others.
    headers = {name: text for name, text in one.headers.items() if name in TRACE}
    return Letter(new_letter_id(), webhook.KIND, url, headers, body, one.ended_s)


def _message(one: Deferred) -> Letter:
    assert one.ended_s is not None
    reply, letter_id = one.reply["message"], new_letter_id()
    headers, body = reply_of(one, reply, letter_id)
    return Letter(letter_id, MESSAGE, reply["channel"], headers, body, one.ended_s)
