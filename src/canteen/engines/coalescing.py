"""Deltas on their way to who reads them: each by itself while there is time, joined under load."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from canteen.core.errors import CanteenError
from canteen.core.generation import Chunk, Embeddings, Scores

# Nobody sees a gap of this length, and at it 50 deltas a second are all that a stream costs.
MOST_GAP_S = 0.02
# Below this share of its time a loop answers at once anyhow.
EASY = 0.25
WINDOW_S = 0.1

Said = Chunk | Embeddings | Scores | CanteenError
T = TypeVar("T", Chunk, Embeddings, Scores)


class Pace:
    """How long a delta may wait for the next one of its stream: not at all while the thread of the
    event loop has time to spare, and longer the less it has."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        busy: Callable[[], float] = time.thread_time,
    ) -> None:
        self._clock, self._busy = clock, busy
        self._since_s, self._busy_s = clock(), busy()
        self.gap_s = 0.0

    def look(self) -> None:
        """See how busy the thread was; to be called by it, as often as anything comes."""
        now_s = self._clock()
        passed_s = now_s - self._since_s
        if passed_s < WINDOW_S:
            return
        busy_s = self._busy()
        share = (busy_s - self._busy_s) / passed_s
        self.gap_s = MOST_GAP_S * min(max((share - EASY) / (1 - EASY), 0.0), 1.0)
        self._since_s, self._busy_s = now_s, busy_s


class Inbox:
    """What a worker said to one request, for the one task that reads it."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._said: deque[Said] = deque()
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._given_s = float("-inf")

    def put(self, said: Said) -> None:
        """Have it read: the first delta and the end at once, what is between them at the pace."""
        self._said.append(said)
        if self._due.is_set() or (self._timer is not None and not is_last(said)):
            return
        left_s = self._given_s + self._pace.gap_s - self._loop.time()
        if is_last(said) or left_s <= 0:
            self._due.set()
        else:
            self._timer = self._loop.call_later(left_s, self._due.set)

    async def get(self) -> Said:
        """The next, with the deltas that follow it and can be joined to it."""
        if not self._said or not self._due.is_set():
            await self._due.wait()
        said = self._said.popleft()
        if isinstance(said, Chunk):
            said = self._joined(said)
        if not self._said:
            self.close()
            self._given_s = self._loop.time()
        return said

    async def expect(self, kind: type[T]) -> T:
        """The next, which is of a kind; raises the error that came instead."""
        said = await self.get()
        if isinstance(said, kind):
            return said
        raise said if isinstance(said, CanteenError) else TypeError(said)

    def close(self) -> None:
        """Nothing is due any more."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _joined(self, first: Chunk) -> Chunk:
        chunks = [first]
        while self._said and _is_of(self._said[0], chunks[-1]):
            chunks.append(self._said.popleft())  # type: ignore[arg-type]
        return first if len(chunks) == 1 else join(chunks)


def is_last(said: Said) -> bool:
    """Whether a request has ended with it."""
    return not isinstance(said, Chunk) or said.usage is not None


def join(chunks: list[Chunk]) -> Chunk:
    """Consecutive chunks of one choice as one, which only the last may end."""
    last = chunks[-1]
    return Chunk(
        "".join(chunk.text for chunk in chunks),
        last.index,
        sum(chunk.num_tokens for chunk in chunks),
        tuple(one for chunk in chunks for one in chunk.logprobs),
        tuple(one for chunk in chunks for one in chunk.tool_calls),
        last.finish_reason,
        last.usage,
        last.stop_sequence,
    )


def _is_of(said: Said, before: Chunk) -> bool:
    """Whether something goes on with the choice of the chunk before it."""
    return isinstance(said, Chunk) and said.index == before.index and not before.finish_reason
