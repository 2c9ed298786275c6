"""Where a request belongs in a distributed trace, in the words of W3C Trace Context."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

PARENT = "traceparent"
STATE = "tracestate"
_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
LONGEST_STATE = 512


@dataclass(frozen=True, slots=True)
class Trace:
    """`trace_id` and `span_id` are hex, empty where there is none; `headers` go out with what
    is asked of other services on a request's behalf."""

    trace_id: str = ""
    span_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


_current: ContextVar[Trace] = ContextVar("trace", default=Trace())  # noqa: B039 - it is frozen


def incoming(headers: Mapping[str, str]) -> Trace:
    """The trace that a caller began, passed on as it came; an empty one for nonsense."""
    parent = headers.get(PARENT, "")
    found = _PARENT.fullmatch(parent)
    if not found:
        return Trace()
    passed = {PARENT: parent}
    state = headers.get(STATE, "")
    if state.isascii() and 0 < len(state) <= LONGEST_STATE:
        passed[STATE] = state
    return Trace(found[1], "", passed)


def enter(trace: Trace) -> None:
    """What this task and its children do from now on is part of a trace."""
    _current.set(trace)


def current() -> Trace:
    """The trace that this task is part of."""
    return _current.get()


def outgoing() -> Mapping[str, str]:
    """The headers that join another service's work to the request under way. Not `baggage`:
    what a caller told its own services is nothing for somebody else's."""
    return _current.get().headers
