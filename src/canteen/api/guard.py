"""Who may knock: known hosts and origins; and nobody any more once we are closing."""

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from canteen.api.routing import Dialect
from canteen.bootstrap import Services
from canteen.core.errors import Forbidden, Overloaded

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ALLOWED_METHODS = "GET, POST, DELETE, HEAD, OPTIONS"
LONGEST_PREFLIGHT_S = "600"


class Guard:
    """Pure ASGI: refuses a foreign Host (DNS rebinding), a foreign Origin, and new work while
    the service is ending. A listed origin gets the CORS headers it needs.
    """

    def __init__(
        self, app: ASGIApp, services: Services, dialect_of: Callable[[str], Dialect]
    ) -> None:
        self._app = app
        self._services = services
        self._dialect_of = dialect_of
        settings = services.settings
        self._hosts = LOOPBACK | {settings.host} | set(settings.allowed_hosts)
        self._origins = frozenset(settings.allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _trim(scope)
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        refused = self._refusal(scope, headers, origin)
        if refused is not None:
            await refused(scope, receive, send)
            return
        if origin is None or origin not in self._origins:
            await self._app(scope, receive, send)
            return
        await self._for_origin(origin, scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers, origin: str | None) -> Response | None:
        dialect = self._dialect_of(scope["path"])
        if not self._is_known_host(headers.get("host", "")):
            return _drawn(
                scope,
                dialect,
                Forbidden("this Host is not served here; list it in CANTEEN_ALLOWED_HOSTS"),
            )
        if origin is not None and not self._is_known_origin(origin, headers.get("host", "")):
            return _drawn(
                scope, dialect, Forbidden("this Origin may not call; list it in CANTEEN_ORIGINS")
            )
        if self._services.is_closing and not scope["path"].startswith(("/health", "/metrics")):
            error = Overloaded("the service is going down", retry_after_s=1, code="draining")
            response = _drawn(scope, dialect, error)
            response.headers["connection"] = "close"
            return response
        return None

    def _is_known_host(self, host: str) -> bool:
        name = urlsplit(f"//{host}").hostname if host else None
        # A service that is open to the network is reached by names it cannot know.
        return name in self._hosts or (self._services.settings.allow_remote and name is not None)

    def _is_known_origin(self, origin: str, host: str) -> bool:
        parts = urlsplit(origin)
        is_ours = parts.scheme in ("http", "https") and parts.netloc == host
        return is_ours or origin in self._origins

    async def _for_origin(self, origin: str, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_allowed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["access-control-allow-origin"] = origin
                headers.add_vary_header("origin")
                headers["access-control-expose-headers"] = "x-request-id, retry-after"
            await send(message)

        asked = Headers(scope=scope)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in asked:
            preflight = {
                "access-control-allow-methods": ALLOWED_METHODS,
                "access-control-allow-headers": asked.get("access-control-request-headers", "*"),
                "access-control-max-age": LONGEST_PREFLIGHT_S,
            }
            await Response(status_code=204, headers=preflight)(scope, receive, send_allowed)
            return
        await self._app(scope, receive, send_allowed)


def _drawn(scope: Scope, dialect: Dialect, error: Forbidden | Overloaded) -> Response:
    scope["observation"].error = error.code
    return dialect.draw(error)


def _trim(scope: Scope) -> None:
    """A trailing slash means nothing; a redirect would lose the body of a POST."""
    path = scope["path"]
    if len(path) > 1 and path.endswith("/"):
        scope["path"] = path.rstrip("/") or "/"
        scope["raw_path"] = scope["path"].encode()
