"""`Idempotency-Key`: who asks the same again gets the same answer, kept or still being made."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from canteen.api.endpoint import read
from canteen.api.errors import HttpError
from canteen.api.guard import Draw
from canteen.api.observation import Observation
from canteen.api.routing import Dialect
from canteen.api.sharing import REPLAYED, Shared
from canteen.core.errors import CanteenError, EngineError, InvalidRequest
from canteen.metering.answers import Answer, Answers, Standing

if TYPE_CHECKING:
    from canteen.bootstrap import Services

HEADER = "idempotency-key"
SANE_KEY = re.compile(r"[\x20-\x7e]{1,255}")
# So long an answer is made on for nobody: who lost the connection may ask again.
GRACE_S = 30.0
# How often to look whether another gateway has made an answer, and to say that this one does.
LOOK_EVERY_S = 0.25
BEAT_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class _Ask:
    """A request with a key: `id` is that of its answer, `scope` that of its body as it was
    unpacked."""

    id: str
    digest: str
    scope: Scope
    body: bytes


class Idempotency:
    """ASGI, behind whatever tells who calls: of requests that ask a model, one caller's of the
    same route, key and body are one."""

    def __init__(
        self,
        app: ASGIApp,
        services: "Services",
        draw: Draw,
        dialects: Iterable[Dialect],
        grace_s: float = GRACE_S,
    ) -> None:
        self._app = app
        self._grace_s = grace_s
        self._draw = draw
        self._answers = Answers(services.ledger.tables)
        self._max_body_bytes = services.settings.max_body_bytes
        self._has_bill = services.till.knows
        self._count_replay = services.metrics.count_replay
        self._paths = [
            compile_path(prefix + route.path)[0]
            for dialect in dialects
            for prefix in dialect.prefixes
            for route in dialect.routes
            if route.is_kept_by_key
        ]
        self._running: dict[str, Shared] = {}
        self._claiming = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that has a key; pass on all others."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        key = Headers(scope=scope).get(HEADER) if is_post else None
        if key is None or not any(path.match(scope["path"]) for path in self._paths):
            await self._app(scope, receive, send)
            return
        try:
            ask = await self._ask(key, scope, receive)
            await self._serve(ask, receive, send)
        except ClientDisconnect:
            scope["canteen.observe"].is_gone = True
        except CanteenError as error:
            await self._draw(scope, error.with_traceback(None))(scope, receive, send)

    async def _ask(self, key: str, scope: Scope, receive: Receive) -> _Ask:
        if not SANE_KEY.fullmatch(key):
            raise InvalidRequest(
                "an Idempotency-Key is 1 to 255 printable ASCII characters", param=HEADER
            )
        body = await read(Request(scope, receive), self._max_body_bytes, scope["canteen.drain"])
        caller_id = scope["canteen.observe"].caller_id
        told = "\n".join((caller_id, scope["path"], key))
        headers = [one for one in scope["headers"] if one[0] != b"content-encoding"]
        return _Ask(
            id=hashlib.sha256(told.encode()).hexdigest(),
            digest=hashlib.sha256(_canonical(body)).hexdigest(),
            scope={**scope, "headers": headers},
            body=body,
        )

    async def _serve(self, ask: _Ask, receive: Receive, send: Send) -> None:
        async with _watched(receive) as gone:
            while not gone.done():
                running = self._joinable(ask)
                standing = None if running else await self._claim(ask)
                if standing == "reused":
                    raise _reused()
                if standing == "mine":
                    await self._lead(ask, send, gone)
                    return
                if isinstance(standing, Answer):
                    await _replay(standing, ask.scope, receive, send)
                    self._count_replay()
                    return
                if running is not None and await running.follow(send, gone):
                    self._count_replay()
                    return
                if self._joinable(ask) is None:
                    await asyncio.wait([gone], timeout=LOOK_EVERY_S)
        ask.scope["canteen.observe"].is_gone = True

    def _joinable(self, ask: _Ask) -> Shared | None:
        """The answer that is being made here; raises a refusal where it is another request's."""
        running = self._running.get(ask.id)
        if running is not None and running.digest != ask.digest:
            raise _reused()
        return running if running is not None and running.is_open else None

    async def _claim(self, ask: _Ask) -> Standing:
        async with self._claiming:
            if ask.id in self._running:
                return "running"
            try:
                standing = await asyncio.to_thread(self._answers.claim, ask.id, ask.digest)
            except EngineError:
                # An answer that cannot be kept is better than none.
                standing = "mine"
            if standing == "mine":
                self._running[ask.id] = Shared(ask.digest, ask.body, self._grace_s)
            return standing

    async def _lead(self, ask: _Ask, send: Send, gone: "asyncio.Future[None]") -> None:
        """Have the answer made; it is kept, or not, before its last byte is sent, so that whoever
        got it whole gets it again."""
        running = self._running[ask.id]
        running.join(gone)
        observe: Observation = ask.scope["canteen.observe"]

        async def say(message: Message) -> None:
            if message["type"] == "http.response.start" and self._has_bill(observe.receipt_id):
                MutableHeaders(scope=message)["x-canteen-receipt"] = observe.receipt_id
            running.add(message)
            if running.is_whole:
                is_good = not observe.error_code and not observe.is_gone
                await self._settle(ask.id, running, is_good=is_good)
            running.tell()
            await send(message)

        beating = asyncio.ensure_future(self._beat(ask.id))
        try:
            await self._app(ask.scope, running.receive, say)
        finally:
            beating.cancel()
            running.end()
            if not running.is_settled:
                await self._settle(ask.id, running, is_good=False)
            if self._running.get(ask.id) is running:
                del self._running[ask.id]

    async def _settle(self, answer_id: str, running: Shared, *, is_good: bool) -> None:
        """Keep an answer; what is none is nobody's any more."""
        answer = running.answer if is_good else None
        running.is_settled = True
        if answer is None or not await self._tell(self._answers.keep, answer_id, answer):
            await self._tell(self._answers.release, answer_id)
            # Not before: nobody else may claim what is being released.
            del self._running[answer_id]

    async def _beat(self, answer_id: str) -> None:
        while True:
            await asyncio.sleep(BEAT_EVERY_S)
            await self._tell(self._answers.beat, answer_id)

    async def _tell(self, what: Callable[..., None], *about: object) -> bool:
        """Change what is kept, if that can be done; an answer that is there is given, whatever
        comes of it."""
        with suppress(EngineError):
            await asyncio.to_thread(what, *about)
            return True
        return False


@asynccontextmanager
async def _watched(receive: Receive) -> AsyncIterator["asyncio.Future[None]"]:
    """Done when the client has gone; its request has been read before."""

    async def until_gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    watching = asyncio.ensure_future(until_gone())
    try:
        yield watching
    finally:
        watching.cancel()


async def _replay(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    response = Response(answer.body, answer.status)
    response.raw_headers = [
        (name.encode(), value.encode("latin-1")) for name, value in (*answer.headers, REPLAYED)
    ]
    await response(scope, receive, send)


def _canonical(body: bytes) -> bytes:
    """The same for two bodies of the same JSON."""
    try:
        return msgspec.json.encode(msgspec.json.decode(body), order="sorted")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return body


def _reused() -> HttpError:
    return HttpError(
        422,
        "this Idempotency-Key came with another request before; use a new one for a new request",
        code="idempotency_key_reused",
    )
