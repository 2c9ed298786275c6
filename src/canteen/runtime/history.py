"""Why a model is in memory or not: the last thing that happened to each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

What = Literal["loaded", "woken", "slept", "evicted", "expired", "unloaded", "restarted", "failed"]
# Names come from the store and go with it; their last events need not stay for ever.
MOST_MODELS = 256


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a model, when and why; `before` is what had happened before that."""

    model: str
    what: What
    why: str
    at: datetime
    before: What | None


class History:
    """The last event of each model; `tell` hears all of them."""

    def __init__(self, tell: Callable[[Event], object]) -> None:
        self._tell = tell
        self._last: dict[str, Event] = {}

    def note(self, model: str, what: What, why: str) -> None:
        """Note an event, in place of the model's last."""
        before = self._last.pop(model, None)
        event = Event(model, what, why, datetime.now(UTC), before.what if before else None)
        self._last[model] = event
        if len(self._last) > MOST_MODELS:
            del self._last[next(iter(self._last))]
        self._tell(event)

    def events(self) -> list[Event]:
        """The last event of every model, the latest first."""
        return list(reversed(self._last.values()))
