"""What is told of the end of a deferred request, and to whom: written as it ends."""

import json
from datetime import UTC, datetime

from canteen.core.database import Connection
from canteen.runtime.deferred import webhook
from canteen.runtime.deferred.outbox import Letter, new_letter_id, put
from canteen.runtime.deferred.request import Deferred, told


def write(connection: Connection, one: Deferred) -> None:
    """Have the end told to whoever wants to know."""
    url = one.reply.get("webhook")
    if url:
        assert one.ended_s is not None
        at = datetime.fromtimestamp(one.ended_s, UTC).isoformat(timespec="milliseconds")
        body = {"type": f"job.{one.state}", "timestamp": at, "data": told(one)}
        letter = Letter(
            new_letter_id(), webhook.KIND, url, dict(one.headers), json.dumps(body), one.ended_s
        )
        put(connection, letter)
