"""Who calls, by the key or token that is shown; asked of everybody but probes where keys are on."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from canteen.api.auth_jwt import Tokens
from canteen.api.errors import HttpError
from canteen.api.guard import Draw
from canteen.api.observation import Observation
from canteen.api.routing import Dialect
from canteen.core.access import Caller, Needed
from canteen.core.errors import CanteenError, Unauthorized

if TYPE_CHECKING:
    from canteen.bootstrap import Services

METRICS = "/metrics"
# In the scope of a request that does not come from outside: who has asked for it before, or why
# they may no more.
CALLER = "canteen.caller"


class Auth:
    """ASGI: refuses who shows no good key, on every path that no row of a table opens."""

    def __init__(
        self, app: ASGIApp, services: "Services", draw: Draw, dialects: Iterable[Dialect]
    ) -> None:
        self._app = app
        self._keys = services.keys
        self._limiter = services.limiter
        self._tokens = Tokens.of(services.settings)
        self._draw = draw
        self._open = open_paths(dialects)
        if services.settings.open_metrics:
            self._open |= {METRICS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        await self._keys.look()
        is_asked = scope["type"] == "http" and self._keys.is_asked
        if not is_asked or scope["path"] in self._open:
            await self._app(scope, receive, send)
            return
        try:
            known: Caller | CanteenError | None = scope.get(CALLER)
            if isinstance(known, CanteenError):
                raise known
            caller = known or await self._caller(shown(Headers(scope=scope)))
        except CanteenError as error:
            await self._draw(scope, error.with_traceback(None))(scope, receive, send)
            return
        observe: Observation = scope["canteen.observe"]
        observe.caller, observe.caller_id = caller, caller.id
        observe.account = self._limiter.account(caller, observe.receipt_id)
        await self._app(scope, receive, send)

    async def _caller(self, secret: str) -> Caller:
        if not secret:
            raise Unauthorized(
                "this service asks for a key; send it as `Authorization: Bearer …`, `x-api-key` "
                "or `api-key`",
                code="missing_api_key",
            )
        if self._tokens is not None and secret.count(".") == 2:
            return await self._tokens.caller(secret)
        return await self._keys.caller(secret)


def shown(headers: Headers) -> str:
    """The key or token of a request; empty where there is none."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    return bearer or headers.get("x-api-key", "") or headers.get("api-key", "")


def open_paths(dialects: Iterable[Dialect]) -> frozenset[str]:
    """The paths that are answered to everybody."""
    return frozenset(
        prefix + route.path
        for dialect in dialects
        for prefix in dialect.prefixes
        for route in dialect.routes
        if route.scope == "open"
    )


def check_scope(needed: Needed | None, caller: Caller | None) -> None:
    """Raises a refusal for a caller whose key is not for what needs this scope; with keys off
    there is no caller, and all may do all."""
    if caller is None or (needed is not None and caller.may(needed)):
        return
    scope = needed or "that nobody has"
    raise HttpError(
        403,
        f"this needs a key with the scope {scope}; ask the operator of this service for one",
        code="insufficient_scope",
        headers={"www-authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
    )
