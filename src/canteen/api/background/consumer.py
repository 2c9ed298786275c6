"""The idempotent consumer: commands of a broker become deferred requests, each of them once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from canteen.core.access import Caller
from canteen.core.errors import InvalidRequest, Overloaded, Unauthorized
from canteen.runtime.deferred.broker import Broker, Message
from canteen.runtime.deferred.command import Cancel, Command, command_of, refusal_of
from canteen.runtime.deferred.turns import Turns

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 32
MOST_ATTEMPTS = 10


class Desk(Protocol):
    """Where commands are left."""

    async def keep(self, command: Command, caller: Caller | None) -> None:
        """Keep a command, once; raises Overloaded where too many wait."""
        ...

    async def take_back(self, message_id: str) -> None:
        """Cancel a command, if it is there and not over."""
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
        if message.attempts > MOST_ATTEMPTS:
            await self._refuse(message, f"it could not be kept in {MOST_ATTEMPTS} tries")
            return
        try:
            command = command_of(message.headers, message.body)
        except InvalidRequest as error:
            await self._refuse(message, error.message)
            return
        if isinstance(command, Cancel):
            await self._desk.take_back(command.message_id)
        else:
            await self._desk.keep(command, caller)
        await asyncio.to_thread(self._broker.settle, message)

    async def _refuse(self, message: Message, why: str) -> None:
        """Put a message aside, and tell its sender, if it says where."""
        logger.warning("a message is put aside: %s", why)
        reply_id = f"{message.id}/refused"
        reply = refusal_of(message.headers, why, reply_id)
        if reply is not None:
            channel, headers, body = reply
            told = Message(channel, reply_id, headers, body)
            await asyncio.to_thread(self._broker.publish, told)
        await asyncio.to_thread(self._broker.reject, message, why)
