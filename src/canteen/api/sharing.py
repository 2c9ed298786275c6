"""An answer under way that several requests wait for: made for one of them, said to all."""

import asyncio

from starlette.types import Message, Send

from canteen.metering.answers import Answer

REPLAYED = ("idempotency-replayed", "true")


class Shared:
    """An answer to a body of this digest: what has been said of it, and who listens. So long as
    `grace_s` it is made on for nobody."""

    def __init__(self, digest: str, body: bytes, grace_s: float) -> None:
        self.digest = digest
        self._grace_s = grace_s
        self.is_settled = False
        self._request: Message = {"type": "http.request", "body": body, "more_body": False}
        self._said: list[Message] = []
        self._num_told = 0
        self._is_over = False
        self._num_listeners = 0
        self._news = asyncio.Event()
        self._abandoned = asyncio.Event()
        self._giving_up: asyncio.TimerHandle | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all has been said."""
        last = self._said[-1] if self._said else {}
        return last.get("type") == "http.response.body" and not last.get("more_body")

    @property
    def answer(self) -> Answer | None:
        """What has been said, if it is an answer and no refusal."""
        start, *parts = self._said
        if not 200 <= start["status"] < 300:
            return None
        headers = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
        body = b"".join(part.get("body", b"") for part in parts)
        return Answer(start["status"], tuple(headers), body.decode())

    @property
    def is_open(self) -> bool:
        """Whether there is something to hear for who comes now."""
        is_for_nobody = self._abandoned.is_set() or (self._is_over and not self._num_told)
        return not is_for_nobody

    async def receive(self) -> Message:
        """The request, for who makes the answer; it is given up when nobody has listened for a
        while."""
        request, self._request = self._request, {"type": "http.disconnect"}
        if request["type"] == "http.disconnect":
            await self._abandoned.wait()
        return request

    def add(self, message: Message) -> None:
        """Take what is said."""
        if "headers" in message:
            # Those who pass it on add to them.
            message = {**message, "headers": list(message["headers"])}
        self._said.append(message)

    def tell(self) -> None:
        """Let the listeners have what was said."""
        self._num_told = len(self._said)
        self._wake()

    def end(self) -> None:
        """No more is said."""
        self._is_over = True
        self._wake()
        if self._giving_up is not None:
            self._giving_up.cancel()

    def join(self, gone: "asyncio.Future[None]") -> None:
        """Somebody listens until they are gone."""
        self._num_listeners += 1
        if self._giving_up is not None:
            self._giving_up.cancel()
        gone.add_done_callback(self._leave)

    async def follow(self, send: Send, gone: "asyncio.Future[None]") -> bool:
        """Say what was said and what is being said; false where that is nothing."""
        self.join(gone)
        num_sent = 0
        while not gone.done():
            while num_sent < self._num_told:
                await send(_marked(self._said[num_sent]))
                num_sent += 1
            if self._is_over:
                return num_sent > 0
            await self._news.wait()
        return True

    def _leave(self, _: "asyncio.Future[None]") -> None:
        self._num_listeners -= 1
        self._wake()
        if not self._num_listeners and not self._is_over:
            loop = asyncio.get_running_loop()
            self._giving_up = loop.call_later(self._grace_s, self._abandoned.set)

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def _marked(message: Message) -> Message:
    """As it was said, with the sign that it was said before."""
    if message["type"] != "http.response.start":
        return message
    sign = tuple(part.encode() for part in REPLAYED)
    return {**message, "headers": [*message["headers"], sign]}
