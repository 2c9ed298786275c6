"""The idempotent consumer: commands of a broker become deferred requests, each of them once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from canteen.core.access import Caller
from canteen.core.errors import InvalidRequest, Overloaded, Unauthorized
from canteen.runtime.deferred.broker import Broker, Message
from canteen.runtime.deferred.command import Command, command_of
from canteen.runtime.deferred.turns import Turns

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 32


class Desk(Protocol):
    """Where commands are left."""

    async def keep(self, command: Command, caller: Caller | None) -> None:
        """Keep a command, once; raises Overloaded where too many wait."""
        ...


class Consumer:
    """Takes the commands of a channel and leaves them at the desk; a message is settled once its
    command is kept. `caller` tells on whose account they are answered."""

    def __init__(
        self,
        broker: Broker,
        channel: str,
        desk: Desk,
        caller: Callable[[], Awaitable[Caller | None]],
    ) -> None:
        self._broker = broker
        self._channel = channel
        self._desk = desk
        self._caller = caller
        self._is_open = False
        self._turns = Turns(self._turn)

    def start(self) -> None:
        """Begin to take commands."""
        self._turns.start()

    async def close(self) -> None:
        """Take no more."""
        await self._turns.close()

    async def _turn(self) -> None:
        if not self._is_open:
            await asyncio.to_thread(self._broker.open)
            self._is_open = True
        try:
            caller = await self._caller()
            while await self._took(caller):
                pass
        except Unauthorized as error:
            logger.error("commands wait, since CANTEEN_BROKER_KEY is no good: %s", error.message)
        except Overloaded as error:
            logger.warning("commands wait: %s", error.message)

    async def _took(self, caller: Caller | None) -> bool:
        """Whether there were messages."""
        messages = await asyncio.to_thread(self._broker.receive, self._channel, MOST_AT_ONCE)
        for message in messages:
            await self._take(message, caller)
        return bool(messages)

    async def _take(self, message: Message, caller: Caller | None) -> None:
        try:
            command = command_of(message.headers, message.body)
        except InvalidRequest as error:
            logger.warning("a message is put aside: %s", error.message)
            await asyncio.to_thread(self._broker.reject, message, error.message)
            return
        await self._desk.keep(command, caller)
        await asyncio.to_thread(self._broker.settle, message)
