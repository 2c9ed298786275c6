"""A request that is answered later: what was asked, how it stands, and what was answered."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from canteen.core.access import Caller
from canteen.core.database import Row

State = Literal["queued", "running", "done", "failed", "cancelled"]
UNDER_WAY: tuple[State, ...] = ("queued", "running")
KIND = "request"
# Where the id of the receipt of an answer stands.
RECEIPT = "x-canteen-receipt"
_JSON = ("caller", "headers", "reply", "answer_headers")


@dataclass(frozen=True, slots=True)
class Deferred:
    """Times are seconds since 1970. `caller` is who asked, None where nobody had to show a key;
    `message_id` is the caller's own, empty if none; `headers` go along with the body, and `reply`
    says where the end is told. `number` and `custom_id` are of a line of a batch, `model` is what
    is asked, and those of a lower `turn` go first. `wanted` is "cancel" where somebody wants it to
    end. What failed has the reason in `error`, and a `status` where it was answered at all."""

    id: str
    path: str
    body: str
    created_s: float
    deadline_s: float
    caller_id: str = ""
    caller: Mapping[str, Any] | None = None
    message_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    reply: Mapping[str, Any] = field(default_factory=dict)
    batch_id: str = ""
    custom_id: str = ""
    number: int = 0
    model: str = ""
    turn: int = 0
    state: State = "queued"
    not_before_s: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None
    attempts: int = 0
    wanted: str = ""
    status: int | None = None
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    answer: str = ""
    error: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state not in UNDER_WAY

    @property
    def said(self) -> Any:
        """The body of its answer."""
        return body_of(self.answer)


def body_of(answer: str) -> Any:
    """What an answer says: JSON, or else its text."""
    try:
        return json.loads(answer)
    except ValueError:
        return answer


def storable(text: str) -> str:
    """A text that every database takes: without NUL, and whole in UTF-8."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def model_of(body: Mapping[str, Any]) -> str:
    """The model that a body asks; empty where it leaves that to the service."""
    return storable(str(body.get("model", "")))


COLUMNS = tuple(Deferred.__dataclass_fields__)


def row_of(one: Deferred) -> Row:
    """As the database has it."""
    told = {name: getattr(one, name) for name in COLUMNS}
    return told | {name: json.dumps(told[name]) for name in _JSON}


def of_row(row: Row) -> Deferred:
    """As the database had it."""
    told = {name: row[name] for name in COLUMNS}
    return Deferred(**told | {name: json.loads(row[name]) for name in _JSON})


def told(one: Deferred) -> dict[str, Any]:
    """It as a job, for its caller."""
    spec = {"path": one.path, "body": json.loads(one.body), "message_id": one.message_id}
    result = {}
    if one.status is not None:
        result = {"status": one.status, "headers": dict(one.answer_headers), "body": one.said}
    return outline(one) | {"spec": spec | dict(one.reply), "result": result}


def outline(one: Deferred) -> dict[str, Any]:
    """It as a job, without what was asked and answered."""
    receipt_id = one.answer_headers.get(RECEIPT)
    return {
        "id": one.id,
        "kind": KIND,
        "name": "",
        "state": one.state,
        "spec": {"path": one.path, "message_id": one.message_id} | dict(one.reply),
        "created_s": one.created_s,
        "deadline_s": one.deadline_s,
        "started_s": one.started_s,
        "ended_s": one.ended_s,
        "attempts": one.attempts,
        "error": one.error,
        "receipt_ids": [receipt_id] if receipt_id else [],
    }


def kept(caller: Caller | None) -> Mapping[str, Any] | None:
    """A caller as the database has it."""
    if caller is None:
        return None
    return {
        "id": caller.id,
        "scopes": sorted(caller.scopes),
        "models": list(caller.models),
        "limits": dict(caller.limits),
    }


def caller_of(one: Deferred) -> Caller | None:
    """Who asked, as it was then."""
    if one.caller is None:
        return None
    told = one.caller
    return Caller(told["id"], frozenset(told["scopes"]), tuple(told["models"]), told["limits"])


def new_id() -> str:
    """An id that no other job has."""
    return f"job_{uuid.uuid4().hex}"
