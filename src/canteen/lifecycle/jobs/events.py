"""What a job tells while it works: a line of JSON for each event, in a file to be followed."""

import asyncio
import json
import os
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

# In the folder of a job.
EVENTS = "events.jsonl"
LOOK_EVERY_S = 0.2
# So many steps foretell how long those to come take.
_STEPS = 100
# More than an event takes, and soon read.
_LAST_BYTES = 1 << 16
Event = dict[str, Any]


class EventLog:
    """The events of one job, oldest first; one process writes, any may read."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def add(self, event: Mapping[str, Any]) -> Event:
        """Keep an event with the time at which it came."""
        kept = {**event, "at_s": self._clock()}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(kept, ensure_ascii=False) + "\n")
        return kept

    def mend(self) -> None:
        """End the line in which a killed writer was interrupted."""
        with self._path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")

    def read(self) -> list[Event]:
        """All events so far; a line that is being written is left out."""
        return list(_events(self._path, 0)[0])

    def latest(self, kind: str) -> Event | None:
        """The last event of a kind, if there is one among the last ones."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_BYTES))
                last = list(_parsed(file.read().splitlines()))
        except FileNotFoundError:
            return None
        return next((one for one in reversed(last) if one.get("event") == kind), None)

    async def follow(
        self, is_over: Callable[[], bool], num_known: int = 0
    ) -> AsyncGenerator[Event]:
        """All events but the first so many, and those to come until the job is over."""
        place = 0
        while True:
            was_over = await asyncio.to_thread(is_over)
            events, place = await asyncio.to_thread(_events, self._path, place)
            for event in events[num_known:]:
                yield event
            num_known = max(0, num_known - len(events))
            if was_over:
                return
            await asyncio.sleep(LOOK_EVERY_S)


class Foretold:
    """Adds to each step how long all the rest takes, by the median of the last steps."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._before_s: float | None = None
        self._took_s: deque[float] = deque(maxlen=_STEPS)

    def __call__(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """The event, with `eta_s` if it is a step and not the first."""
        if event.get("event") != "step" or "steps" not in event:
            return event
        now_s, before_s = self._clock(), self._before_s
        self._before_s = now_s
        if before_s is None:
            return event
        self._took_s.append(now_s - before_s)
        return {**event, "eta_s": median(self._took_s) * (event["steps"] - event["step"])}


def _events(path: Path, place: int) -> tuple[list[Event], int]:
    """The whole lines from a place on, and the place after them."""
    try:
        with path.open("rb") as file:
            file.seek(place)
            whole, mark, _ = file.read().rpartition(b"\n")
    except FileNotFoundError:
        return [], place
    return list(_parsed(whole.splitlines())), place + len(whole) + len(mark)


def _parsed(lines: list[bytes]) -> Iterator[Event]:
    """Without those that a killed writer, or a full disk, cut."""
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event
