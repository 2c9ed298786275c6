"""From a path to what answers it; what no row answers is refused as the path's dialect would."""

import json
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route, Router
from starlette.types import Receive, Scope, Send

from canteen.api.dialects import DIALECTS, SERVED, draw
from canteen.api.documenting import describe
from canteen.api.endpoint import Endpoint
from canteen.api.errors import HttpError

if TYPE_CHECKING:
    from canteen.api.background import Background
    from canteen.api.native.now import Now
    from canteen.bootstrap import Services


class Paths:
    """ASGI: calls what answers a method of a path. `background` is where requests are left, and
    `now` tells how the service goes, for those who get a request from here.

    Nothing stands between: a framework's own layers would be a tenth of a request's time.
    """

    def __init__(self, services: "Services", background: "Background", now: "Now") -> None:
        self.background = background
        self.now = now
        self._version = services.version
        self.routes = [
            Route(
                prefix + row.path,
                Endpoint(row, prefix + row.path, dialect, services),
                methods=[row.method],
            )
            for dialect in SERVED
            for prefix in dialect.prefixes
            for row in dialect.routes
        ]
        self.routes.append(Route("/openapi.json", self._document))
        self._router = Router(self.routes, redirect_slashes=False)
        self._described = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope["app"] = self
        try:
            await self._router(scope, receive, send)
        except HTTPException as error:
            refusal = self._refusal(error.status_code, Request(scope))
            await draw(scope, refusal)(scope, receive, send)

    async def _document(self, request: Request) -> Response:
        """What there is, made when it is first asked for."""
        if not self._described:
            self._described = json.dumps(describe(DIALECTS, self._version)).encode()
        return Response(self._described, media_type="application/json")

    def _refusal(self, status: int, request: Request) -> HttpError:
        path = request.url.path
        if status == 405:
            allowed = ", ".join(sorted(self._methods(request.scope)))
            message = f"{path} takes {allowed}, not {request.method}"
            return HttpError(405, message, code="method_not_allowed", headers={"allow": allowed})
        message = f"there is no {path} here; /openapi.json lists what there is"
        if path.startswith("/v1/v1/"):
            message = f"{path} has /v1 twice; leave it out of the client's base URL"
        return HttpError(status, message, code="not_found")

    def _methods(self, scope: Scope) -> set[str]:
        """What may be asked of a path, over all rows that have it."""
        fitting = [route for route in self.routes if route.matches(scope)[0] != Match.NONE]
        return {method for route in fitting for method in route.methods or ()}
