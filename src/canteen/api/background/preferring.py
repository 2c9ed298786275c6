"""`Prefer: respond-async` (RFC 7240): who would rather not wait is told where to look."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from canteen.api import body
from canteen.api.background.background import Background, Wanted
from canteen.api.endpoint import read
from canteen.api.guard import Draw
from canteen.api.idempotency import HEADER, SANE_KEY
from canteen.api.observation import Observation
from canteen.api.whole import whole
from canteen.core.errors import CanteenError, EngineError, InvalidRequest
from canteen.runtime.deferred.request import Deferred, told

if TYPE_CHECKING:
    from canteen.bootstrap import Services

APPLIED = {"preference-applied": "respond-async"}
RETRY_AFTER_S = 1
_WAIT = re.compile(r"wait\s*=\s*(\d{1,6})")
# What goes along with a request that is left.
PASSED = ("x-end-user", "x-conversation-id", "baggage")


class Preferring:
    """ASGI, behind whatever tells who calls: leaves requests whose callers prefer that."""

    def __init__(
        self, app: ASGIApp, services: "Services", draw: Draw, background: Background
    ) -> None:
        self._app = app
        self._draw = draw
        self._background = background
        self._max_body_bytes = services.settings.max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Leave the request, if it is one of those; pass on all others."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        prefer = Headers(scope=scope).get("prefer", "") if is_post else ""
        if "respond-async" not in prefer or not self._background.routes.find(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            answer = await self._left(Request(scope, receive), _wait_s(prefer))
        except ClientDisconnect:
            scope["canteen.observe"].is_gone = True
            return
        except CanteenError as error:
            answer = self._draw(scope, error.with_traceback(None))
        await answer(scope, receive, send)

    async def _left(self, request: Request, wait_s: float) -> Response:
        observe: Observation = request.scope["canteen.observe"]
        raw = await read(request, self._max_body_bytes, request.scope["canteen.drain"])
        wanted = Wanted(
            request.scope["path"],
            body.decoded(raw),
            message_id=message_id_of(request),
            headers=passed(request),
        )
        one = await self._background.submit(wanted, observe)
        one = await self._background.get(one.id, observe, wait_s)
        return _answer(one) if one.is_over else accepted(one, APPLIED)


def accepted(one: Deferred, more: Mapping[str, str] | None = None) -> Response:
    """It is left: where to look, and when, and `more` headers."""
    headers = {"location": f"/v1/jobs/{one.id}", "retry-after": str(RETRY_AFTER_S), **(more or {})}
    return whole(told(one), status=202, headers=headers)


def message_id_of(request: Request) -> str:
    """The Idempotency-Key of a request; raises InvalidRequest for a bad one."""
    key = request.headers.get(HEADER, "")
    if key and not SANE_KEY.fullmatch(key):
        raise InvalidRequest(
            "an Idempotency-Key is 1 to 255 printable ASCII characters", param=HEADER
        )
    return key


def passed(request: Request) -> dict[str, str]:
    """The headers of a request that go along with what it leaves."""
    return {name: request.headers[name] for name in PASSED if name in request.headers}


def _answer(one: Deferred) -> Response:
    """What was answered, as it would have been at once; raises EngineError where nothing was."""
    if one.status is None:
        raise EngineError(one.error, code=f"job_{one.state}")
    headers = {name: text for name, text in one.answer_headers.items() if name != "x-request-id"}
    return Response(one.answer, one.status, headers | APPLIED)


def _wait_s(prefer: str) -> float:
    found = _WAIT.search(prefer)
    return float(found[1]) if found else 0.0
