"""The idempotent consumer: commands of a broker become deferred requests, each of them once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from canteen.core.access import Caller
from canteen.core.errors import CanteenError, EngineError, InvalidRequest, Overloaded, Unauthorized
from canteen.core.turns import FAULT, Turns, guarded
from canteen.runtime.deferred.broker import Broker, Message
from canteen.runtime.deferred.command import Cancel, Command, command_of, refusal_of

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 32
# So often a command is looked for that is to be taken back.
LOOKED_FOR = 3


class Desk(Protocol):
    """Where commands are left."""

    async def keep(self, command: Command, caller: Caller | None) -> None:
        """Keep a command, once; raises Overloaded where too many wait."""
        ...

    async def take_back(self, message_id: str) -> bool:
        """Cancel a command, if it is not over; whether it is there."""
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
            trouble = await guarded(self._tried(message, caller), FAULT)
            if isinstance(trouble, CanteenError):
                # It is not the message's, which comes again, as do those after it.
                raise trouble
            if trouble is FAULT:
                await asyncio.to_thread(self._broker.reject, message, FAULT)
        return bool(messages)

    async def _tried(self, message: Message, caller: Caller | None) -> CanteenError | None:
        """Take a message; gives what has nothing to do with it and is in the way."""
        try:
            await self._take(message, caller)
        except (EngineError, Overloaded) as error:
            return error
        return None

    async def _take(self, message: Message, caller: Caller | None) -> None:
        try:
            command = command_of(message.headers, message.body)
        except InvalidRequest as error:
            await self._refuse(message, error.message)
            return
        if isinstance(command, Cancel):
            was_there = await self._desk.take_back(command.message_id)
            if not was_there and message.attempts < LOOKED_FOR:
                # The command may be on its way; this comes again.
                return
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
