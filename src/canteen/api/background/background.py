"""The desk at which requests are left to be answered later, and asked for."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.types import ASGIApp

from canteen.api import body
from canteen.api.auth import check_scope
from canteen.api.background.consumer import Consumer
from canteen.api.background.routes import Deferrable
from canteen.api.background.runner import Runner
from canteen.api.errors import HttpError
from canteen.api.observation import Observation
from canteen.api.routing import Dialect, Route
from canteen.api.streaming import json_bytes
from canteen.core import trace
from canteen.core.access import Caller
from canteen.core.errors import InvalidRequest, JobNotFound
from canteen.runtime.deferred.command import Command
from canteen.runtime.deferred.request import UNDER_WAY, Deferred, State, kept, model_of, new_id

if TYPE_CHECKING:
    from canteen.bootstrap import Services

# Who asks by messages, whatever key is set for them.
BROKER = "broker"
USUAL_TIMEOUT_S = 24 * 3600.0
LONGEST_TIMEOUT_S = 7 * 24 * 3600.0
LONGEST_WAIT_S = 60.0
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request to be answered later: see `Deferred`. `job_id` is given where others than jobs go
    by it."""

    path: str
    body: Mapping[str, Any]
    message_id: str = ""
    timeout_s: float = USUAL_TIMEOUT_S
    webhook: str = ""
    headers: Mapping[str, str] | None = None
    job_id: str = ""


class Background:
    """Requests that are left, answered by `app` beside all others."""

    def __init__(self, app: ASGIApp, services: "Services", dialects: Iterable[Dialect]) -> None:
        self._deferred = services.deferred
        self.routes = Deferrable(dialects)
        self._news = asyncio.Event()
        self._runner = Runner(app, services, self._tell)
        self._consumer = self._consuming(services)

    @classmethod
    def of(cls, request: Request) -> "Background":
        """Where the service leaves requests that got this one."""
        background: Background = request.app.background
        return background

    def start(self) -> None:
        """Begin to answer what is there."""
        self._runner.start()
        self._deferred.post.start()
        if self._consumer is not None:
            self._consumer.start()

    async def close(self) -> None:
        """Leave the rest to whoever comes next."""
        if self._consumer is not None:
            await self._consumer.close()
        await self._runner.close()
        await self._deferred.post.close()

    def _consuming(self, services: "Services") -> Consumer | None:
        """What takes commands from the broker, where there is one."""
        broker, settings = services.deferred.broker, services.settings
        if broker is None:
            return None

        async def caller() -> Caller | None:
            await services.keys.look()
            asked = services.keys.is_asked
            return await services.keys.caller(settings.broker_key) if asked else None

        return Consumer(broker, settings.broker_channel, self, caller)

    async def submit(self, wanted: Wanted, observe: Observation) -> Deferred:
        """Keep a request that its caller may make; of a message that came before, how it stands.

        Raises what its route would of a bad body, and InvalidRequest.
        """
        route = self.routes.get(wanted.path, "path")
        check_scope(route.scope, observe.caller)
        if wanted.webhook:
            self._deferred.webhooks.check(wanted.webhook)
        text = await _checked(wanted.body, route)
        one = self._drafted(wanted, text, observe)
        there = await asyncio.to_thread(self._deferred.book.add, one)
        is_other = there is not one and there.body != one.body
        if there.path != one.path or (is_other and json.loads(there.body) != json.loads(one.body)):
            raise HttpError(
                422,
                "this message id came with another request before; use a new one for a new request",
                code="idempotency_key_reused",
            )
        self._runner.wake()
        return there

    async def keep(self, command: Command, caller: Caller | None) -> None:
        """Keep the command of a message, once; what is wrong with it is told in its reply.

        Raises Overloaded where too many wait.
        """
        now_s = self._deferred.book.clock()
        one = Deferred(
            new_id(),
            command.path,
            command.body,
            created_s=now_s,
            deadline_s=min(
                now_s + USUAL_TIMEOUT_S if command.deadline_s is None else command.deadline_s,
                now_s + LONGEST_TIMEOUT_S,
            ),
            # Whatever key is set for them by then, a message is the same.
            caller_id=BROKER,
            caller=kept(caller),
            message_id=command.message_id,
            headers=command.headers,
            reply=command.reply,
            model=model_of(json.loads(command.body)),
        )
        await asyncio.to_thread(self._deferred.book.add, one)
        self._runner.wake()

    async def take_back(self, message_id: str) -> bool:
        """Cancel the command of a message, if it is not over; whether it is there."""
        book = self._deferred.book
        one = await asyncio.to_thread(book.find, BROKER, message_id)
        if one is not None and not one.is_over:
            with suppress(InvalidRequest):
                await asyncio.to_thread(book.cancel, one.id)
            self._runner.wake()
        return one is not None

    def _drafted(self, wanted: Wanted, text: str, observe: Observation) -> Deferred:
        now_s = self._deferred.book.clock()
        return Deferred(
            wanted.job_id or new_id(),
            wanted.path,
            text,
            created_s=now_s,
            deadline_s=now_s + wanted.timeout_s,
            caller_id=observe.caller_id,
            caller=kept(observe.caller),
            message_id=wanted.message_id,
            headers={**trace.outgoing(), **(wanted.headers or {})},
            reply={"webhook": wanted.webhook} if wanted.webhook else {},
            model=model_of(wanted.body),
        )

    async def get(self, job_id: str, observe: Observation, wait_s: float = 0.0) -> Deferred:
        """A request of a caller's, once it is over or so much time has passed; raises
        JobNotFound."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + min(wait_s, LONGEST_WAIT_S)
        book = self._deferred.book
        one = await asyncio.to_thread(book.get, job_id)
        if not is_seen_by(one.caller_id, observe):
            raise JobNotFound(job_id)
        before: State | None = one.state
        state = before
        while state in UNDER_WAY and (left_s := until_s - loop.time()) > 0:
            await _either(self._news, min(left_s, _LOOK_EVERY_S))
            state, _ = await asyncio.to_thread(book.standing, job_id)
        return one if state == before else await asyncio.to_thread(book.get, job_id)

    async def until_changed(self, one: Deferred, observe: Observation) -> Deferred:
        """The same request, once it stands otherwise."""
        stands: tuple[State | None, int] = one.state, one.attempts
        while stands == (one.state, one.attempts):
            await _either(self._news, _LOOK_EVERY_S)
            stands = await asyncio.to_thread(self._deferred.book.standing, one.id)
        return await self.get(one.id, observe)

    async def newest(self, observe: Observation) -> list[Deferred]:
        """The newest requests that a caller may see."""
        whose = None if is_seen_by("", observe) else observe.caller_id
        return await asyncio.to_thread(self._deferred.book.newest, whose)

    async def cancel(self, job_id: str, observe: Observation) -> Deferred:
        """End one; raises InvalidRequest where it is over."""
        await self.get(job_id, observe)
        one = await asyncio.to_thread(self._deferred.book.cancel, job_id)
        self._runner.wake()
        return await self.get(job_id, observe, wait_s=1.0) if not one.is_over else one

    async def remove(self, job_id: str, observe: Observation) -> None:
        """Forget one that is over."""
        await self.get(job_id, observe)
        await asyncio.to_thread(self._deferred.book.remove, job_id)

    def wake(self) -> None:
        """There is something new to do."""
        self._runner.wake()

    def _tell(self) -> None:
        """Wake those who wait for the end of something."""
        self._deferred.post.wake()
        self._news.set()
        self._news = asyncio.Event()


def is_seen_by(caller_id: str, observe: Observation) -> bool:
    """Whether a caller may see what is another's, or their own."""
    caller = observe.caller
    return caller is None or caller.id == caller_id or caller.may("llm:admin")


async def _checked(given: Mapping[str, Any], route: Route) -> str:
    """A body as it is kept; raises what its route would of a bad one."""
    if route.streams:
        if given.get("stream"):
            raise InvalidRequest(
                "an answer that comes later comes whole; leave out stream", param="stream"
            )
        given = {**given, "stream": False}
    if given.get("background"):
        raise InvalidRequest("it is answered in the background already", param="background")
    raw = json_bytes(given)
    assert route.request is not None
    await body.parse(raw, route.request)
    return raw.decode()


async def _either(news: asyncio.Event, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            await news.wait()
    except TimeoutError:
        return
