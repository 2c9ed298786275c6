"""From a row of a dialect's table to an endpoint: read, validate, call, and map every error."""

import asyncio
import logging
import re
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from canteen.api import body
from canteen.api.auth import check_scope
from canteen.api.draining import Drain
from canteen.api.errors import CLIENT_GONE, Unexpected, headers_of, shutting_down, status_of
from canteen.api.observation import Observation, conversation_of, observed
from canteen.api.routing import Dialect, Route, Served
from canteen.api.streaming import json_bytes
from canteen.api.translated import ASKED, Asked, answered
from canteen.core.errors import CanteenError

if TYPE_CHECKING:
    from canteen.bootstrap import Services

SANE_KEY = re.compile(r"[\w.-]{1,64}", re.ASCII)
MOST_IGNORED = 16

logger = logging.getLogger(__name__)


class Endpoint:
    """ASGI: answers one route at a path; of what goes wrong before an answer begins, only
    cancellation is raised."""

    def __init__(self, route: Route, path: str, dialect: Dialect, services: "Services") -> None:
        self._route = route
        self._path = path
        self._dialect = dialect
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(Request(scope, receive, send))
        tell_ignored(response, scope["canteen.observe"])
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        observe: Observation = request.scope["canteen.observe"]
        observe.operation, observe.pattern = self._route.operation, self._path
        try:
            check_scope(self._route.scope, observe.caller)
            return await _answered(self._route, self._services, request, observe)
        except ClientDisconnect:
            observe.is_gone = True
            return Response(status_code=CLIENT_GONE)
        except CanteenError as error:
            # Its traceback would keep the frames of the request, and they its text.
            return drawn(error.with_traceback(None), self._dialect, observe)
        except Exception:
            logger.exception("a request failed", extra={"request_id": observe.request_id})
            return drawn(Unexpected(observe.request_id), self._dialect, observe)


def drawn(error: CanteenError, dialect: Dialect, observe: Observation) -> Response:
    """An error as its dialect shows it."""
    observe.fail(error)
    status = status_of(error)
    return Response(
        json_bytes(dialect.error_body(error, status)),
        status,
        headers_of(error),
        dialect.error_media_type,
    )


def tell_ignored(response: Response, observe: Observation) -> None:
    """Have an answer's head name the keys of the body that nobody looks at, as far as a header
    can: one is misspelt more often than it is there in vain."""
    sane = [key for key in observe.ignored if SANE_KEY.fullmatch(key)]
    if sane:
        response.headers["x-canteen-ignored"] = ", ".join(sane[:MOST_IGNORED])


async def _answered(
    route: Route, services: "Services", request: Request, observe: Observation
) -> Response:
    drain: Drain = request.scope["canteen.drain"]
    asked: Asked | None = request.scope.get(ASKED)
    if asked is not None:
        observe.model, observe.conversation_id = asked.model, asked.conversation_id
        has_heartbeat = route.streams == "text/event-stream"
        served = _served(services, request, observe)
        made = answered(asked, served, has_heartbeat=has_heartbeat)
        return await while_wanted(made, request, drain)
    arguments: list[Any] = []
    if route.request is not None:
        raw = await read(request, services.settings.max_body_bytes, drain)
        parsed, observe.ignored = await body.parse(raw, route.request)
        observe.model = getattr(parsed, "model", "")
        metadata = getattr(parsed, "metadata", None)
        observe.conversation_id = conversation_of(request.headers, metadata)
        arguments.append(parsed)
    arguments.append(_served(services, request, observe))
    if route.raw:
        # The handler itself hears from receive() that the client has gone.
        return await route.handler(*arguments)
    if route.request is None:
        async for _ in body.chunks(request):
            pass
    return await while_wanted(route.handler(*arguments), request, drain)


async def read(request: Request, max_bytes: int, drain: Drain) -> bytes:
    """The body, if it comes before the service ends."""
    try:
        async with asyncio.timeout(None) as limit:
            with drain.ending(lambda: limit.reschedule(0.0)):
                return await body.read(request, max_bytes)
    except TimeoutError:
        raise shutting_down() from None


def _served(services: "Services", request: Request, observe: Observation) -> Served:
    return Served(
        services=observed(services, observe),
        request_id=observe.request_id,
        caller_id=observe.caller_id,
        path=request.path_params,
        headers=request.headers,
        observe=observe,
        request=request,
    )


async def while_wanted(answer: Awaitable[Response], request: Request, drain: Drain) -> Response:
    """Wait for the answer, but no longer than the client does (raises ClientDisconnect), nor than
    the service lasts."""
    gone = asyncio.ensure_future(_gone(request))
    limit = asyncio.timeout(None)
    is_over = False

    def end(_: object = None) -> None:
        if not (is_over or limit.expired()):
            limit.reschedule(0.0)

    try:
        async with limit:
            gone.add_done_callback(end)
            try:
                with drain.ending(end):
                    return await answer
            finally:
                is_over = True
                gone.remove_done_callback(end)
    except TimeoutError:
        if not limit.expired():
            raise
        raise (ClientDisconnect() if gone.done() else shutting_down()) from None
    finally:
        gone.cancel()


async def _gone(request: Request) -> None:
    """Returns when the client has closed the connection; the body has been read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
