"""What a job tells while it works: a line of JSON for each event, in a file to be followed."""

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

LOOK_EVERY_S = 0.2
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

    async def follow(self, is_over: Callable[[], bool]) -> AsyncGenerator[Event]:
        """All events, and those to come until the job is over."""
        place = 0
        while True:
            was_over = await asyncio.to_thread(is_over)
            events, place = await asyncio.to_thread(_events, self._path, place)
            for event in events:
                yield event
            if was_over:
                return
            await asyncio.sleep(LOOK_EVERY_S)


def _events(path: Path, place: int) -> tuple[list[Event], int]:
    """The whole lines from a place on, and the place after them."""
    try:
        with path.open("rb") as file:
            file.seek(place)
            whole, mark, _ = file.read().rpartition(b"\n")
    except FileNotFoundError:
        return [], place
    lines = whole.splitlines() if mark else []
    return [json.loads(line) for line in lines if _is_whole(line)], place + len(whole) + len(mark)


def _is_whole(line: bytes) -> bool:
    """A line that a killed writer did not finish is not."""
    return line.endswith(b"}")
