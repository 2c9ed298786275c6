"""The publisher of the outbox: sends each letter at least once, and tries again where it fails."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from canteen.core.turns import FAULT, Turns, guarded
from canteen.runtime.deferred.outbox import Letter, Outbox

MOST_AT_ONCE, MOST_EACH = 16, 4
# Less than after which another gateway takes a letter.
PATIENCE_S = 15.0


class Undelivered(Exception):
    """A letter has not arrived. `is_final`: there is no hope."""

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final = is_final


# Sends a letter, or raises Undelivered.
Send = Callable[[Letter], Awaitable[None]]


class Post:
    """Sends the letters of an outbox, each as its kind is sent. `tell_lag` is told how many
    seconds the oldest waits."""

    def __init__(
        self,
        outbox: Outbox,
        senders: Mapping[str, Send],
        tell_lag: Callable[[float], object],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._outbox = outbox
        self._senders = senders
        self._tell_lag = tell_lag
        self._patience_s = patience_s
        self._under_way: dict[asyncio.Task[None], str] = {}
        self._turns = Turns(self._turn)

    def start(self) -> None:
        """Begin to send."""
        self._turns.start()

    def wake(self) -> None:
        """There is a letter."""
        self._turns.wake()

    async def close(self) -> None:
        """Send no more; what was not sent is sent by whoever comes next."""
        await self._turns.close()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _turn(self) -> None:
        free = min(MOST_AT_ONCE - len(self._under_way), MOST_EACH)
        if free and not await asyncio.to_thread(self._outbox.is_empty):
            await self._take(free)
        self._tell_lag(await asyncio.to_thread(self._outbox.lag_s))

    async def _take(self, most: int) -> None:
        """Begin with letters; somebody who is slow to take theirs holds up no other."""
        targets = Counter(self._under_way.values())
        busy = [target for target, num in targets.items() if num >= MOST_EACH]
        kinds = tuple(self._senders)
        letters = await asyncio.to_thread(self._outbox.take, most, kinds, busy)
        for letter in letters:
            task = asyncio.ensure_future(guarded(self._post(letter), None))
            self._under_way[task] = letter.target
            task.add_done_callback(self._posted)
        if letters:
            self.wake()

    def _posted(self, done: "asyncio.Task[None]") -> None:
        self._under_way.pop(done, None)
        self.wake()

    async def _post(self, letter: Letter) -> None:
        why = await guarded(self._sent(letter), Undelivered(FAULT))
        if why is None:
            await asyncio.to_thread(self._outbox.sent, letter)
        else:
            failed = self._outbox.failed
            await asyncio.to_thread(failed, letter, str(why), is_final=why.is_final)

    async def _sent(self, letter: Letter) -> Undelivered | None:
        """Why it has not arrived, if it has not."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._senders[letter.kind](letter)
        except Undelivered as why:
            return why
        except TimeoutError:
            return Undelivered(f"it was not answered within {self._patience_s:g} s")
        return None
