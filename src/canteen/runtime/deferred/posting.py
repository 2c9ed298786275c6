"""The publisher of the outbox: sends each letter at least once, and tries again where it fails."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from canteen.runtime.deferred.outbox import Letter, Outbox
from canteen.runtime.deferred.turns import Turns

MOST_AT_ONCE = 16


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
        self, outbox: Outbox, senders: Mapping[str, Send], tell_lag: Callable[[float], object]
    ) -> None:
        self._outbox = outbox
        self._senders = senders
        self._tell_lag = tell_lag
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

    async def _turn(self) -> None:
        while not await asyncio.to_thread(self._outbox.is_empty):
            letters = await asyncio.to_thread(self._outbox.take, MOST_AT_ONCE)
            await asyncio.gather(*(self._post(letter) for letter in letters))
        self._tell_lag(await asyncio.to_thread(self._outbox.lag_s))

    async def _post(self, letter: Letter) -> None:
        send = self._senders.get(letter.kind)
        try:
            if send is None:
                raise Undelivered(f"this gateway is not set to send any {letter.kind}")
            await send(letter)
        except Undelivered as why:
            failed = self._outbox.failed
            await asyncio.to_thread(failed, letter, str(why), is_final=why.is_final)
        else:
            await asyncio.to_thread(self._outbox.sent, letter)
