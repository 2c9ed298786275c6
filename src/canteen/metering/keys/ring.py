"""The keys that were shown lately, so that a request costs microseconds and no question."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from canteen.core.access import Caller
from canteen.core.errors import EngineError, KeyNotFound, Unauthorized
from canteen.metering.keys.book import KeyBook
from canteen.metering.keys.key import PREFIX, Key, Wanted, digest

logger = logging.getLogger(__name__)

Mode = Literal["auto", "on", "off"]
# What is known of a key is good for so long, and read again beside the request after so long. So a
# key that another program revokes is refused within the first, and one in use within the second.
GOOD_FOR_S = 5.0
_AGAIN_AFTER_S = 1.0
# A database that does not answer keeps nobody for longer.
_PATIENCE_S = 1.0
_REMEMBERED = 10_000


@dataclass(slots=True)
class _Known:
    caller: Caller
    key: Key
    secret_expires_s: float | None
    read_s: float
    is_being_read: bool = False

    def trouble(self, now_s: float) -> str:
        trouble = self.key.trouble(now_s)
        is_over = self.secret_expires_s is not None and self.secret_expires_s <= now_s
        return trouble or ("has another secret now" if is_over else "")


class KeyRing:
    """Who shows which key. `is_asked`: whether calls need one; with `auto` they do once there ever
    was one, or where others give out tokens (`has_tokens`). `is_there` tells whether the database
    can have keys at all."""

    def __init__(
        self,
        book: KeyBook,
        mode: Mode = "auto",
        *,
        has_tokens: bool = False,
        is_there: Callable[[], bool] = lambda: True,
    ) -> None:
        self.book = book
        self._is_there = is_there
        self.mode = mode
        self.is_asked = mode == "on" or (mode == "auto" and has_tokens)
        self._looked_s = book.clock()
        self._looking: asyncio.Task[None] | None = None
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._num_changed = 0
        self._reading: set[asyncio.Task[None]] = set()

    async def until_read(self) -> None:
        """Wait for what is being read beside requests."""
        await asyncio.gather(*self._reading)

    def open(self) -> None:
        """See whether there is a key. Where nobody can tell, all callers need one."""
        if self.mode != "auto" or self.is_asked or not self._is_there():
            return
        try:
            self.is_asked = self.book.has_any()
        except EngineError:
            logger.error("whether there are keys cannot be read, so every call needs one")
            self.is_asked = True

    async def look(self) -> None:
        """While no key is asked for, see whether there is one by now: beside the request that this
        is called for, or before it where nobody has looked for so long."""
        age_s = self.book.clock() - self._looked_s
        if self.mode != "auto" or self.is_asked or age_s <= _AGAIN_AFTER_S:
            return
        if self._looking is None:
            self._looking = self._beside(self._look_again())
        if age_s > GOOD_FOR_S:
            await asyncio.wait({self._looking}, timeout=_PATIENCE_S)

    async def caller(self, secret: str) -> Caller:
        """Who shows this; raises Unauthorized, and EngineError where nobody can tell."""
        if not secret.startswith(PREFIX):
            raise Unauthorized("this is no key of this service; ask its operator for one")
        name = digest(secret)
        known, now_s = self._known.get(name), self.book.clock()
        if known is None or now_s - known.read_s > GOOD_FOR_S:
            known = await self._read(name)
        elif now_s - known.read_s > _AGAIN_AFTER_S and not known.is_being_read:
            known.is_being_read = True
            self._beside(self._read_again(name))
        if known is None:
            raise Unauthorized("no such key; ask the operator of this service for one")
        _check(known.trouble(now_s))
        return known.caller

    async def renewed(self, caller: Caller) -> Caller:
        """Who asked some time ago, as their key is now; who came with a token is who they were.
        Raises Unauthorized for a key that is no good any more."""
        try:
            key = await asyncio.to_thread(self.book.get, caller.id)
        except KeyNotFound:
            return caller
        _check(key.trouble(self.book.clock()))
        return key.caller

    async def create(self, wanted: Wanted) -> tuple[Key, str]:
        """Make a key; from now on they are asked for, unless that is switched off."""
        made = await asyncio.to_thread(self.book.create, wanted)
        self.is_asked = self.mode != "off"
        return made

    async def rotate(self, key_id: str, overlap_s: float) -> tuple[Key, str]:
        """Give a key another secret."""
        made = await asyncio.to_thread(self.book.rotate, key_id, overlap_s)
        self._forget(key_id)
        return made

    async def revoke(self, key_id: str) -> Key:
        """Revoke a key; here at once."""
        key = await asyncio.to_thread(self.book.revoke, key_id)
        self._forget(key_id)
        return key

    def _forget(self, key_id: str) -> None:
        self._num_changed += 1
        for name in [name for name, known in self._known.items() if known.key.id == key_id]:
            del self._known[name]

    async def _read(self, name: str) -> _Known | None:
        now_s, num_changed = self.book.clock(), self._num_changed
        found = await asyncio.to_thread(self.book.find, name)
        if num_changed != self._num_changed:
            # What was found may have been read before the change, and would undo it here.
            return await self._read(name)
        self._known.pop(name, None)
        if found is None:
            return None
        known = _Known(found[0].caller, found[0], found[1], now_s)
        self._known[name] = known
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return known

    def _beside(self, reading: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(reading)
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)
        return task

    async def _look_again(self) -> None:
        now_s = self.book.clock()
        try:
            with suppress(EngineError):
                # One that was made meanwhile, which this may not have seen, has been noted.
                if self._is_there() and await asyncio.to_thread(self.book.has_any):
                    self.is_asked = True
        finally:
            self._looked_s, self._looking = now_s, None

    async def _read_again(self, name: str) -> None:
        try:
            await self._read(name)
        except EngineError:
            known = self._known.get(name)
            if known is not None:
                known.is_being_read = False


def _check(trouble: str) -> None:
    if trouble:
        raise Unauthorized(f"this key {trouble}; ask the operator of this service for another")
