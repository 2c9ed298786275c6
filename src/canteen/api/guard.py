"""Who may knock: known hosts and origins; and nobody any more once we are closing."""

from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from canteen.api.draining import Drain
from canteen.core.addresses import is_loopback
from canteen.core.errors import CanteenError, Forbidden, Overloaded
from canteen.settings import Settings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ALLOWED_METHODS = "GET, POST, PUT, DELETE, HEAD, OPTIONS"
EXPOSED_HEADERS = "x-request-id, retry-after, retry-after-ms, x-truncated-tokens, x-canteen-ignored"
PREFLIGHT_IS_GOOD_FOR_S = "600"
# Answered to the very end: probes and scrapers want to see how it goes.
WATCHED_PATHS = ("/health", "/metrics", "/ping")
# In the scope of requests on a connection that is one too many.
SURPLUS = "canteen.is_surplus"
# In a scope: whether its path had a slash at its end.
TRIMMED = "canteen.is_trimmed"

Draw = Callable[[Scope, CanteenError], Response]


class Guard:
    """ASGI: refuses a foreign Host (DNS rebinding), a foreign Origin, and new work while the
    service is ending. A listed origin gets the CORS headers it needs.
    """

    def __init__(self, app: ASGIApp, settings: Settings, drain: Drain, draw: Draw) -> None:
        self._app = app
        self._drain = drain
        self._draw = draw
        names = [_hostname(host) for host in (settings.host, *settings.allowed_hosts)]
        self._hosts = LOOPBACK | {name for name in names if name}
        self._is_remote = not is_loopback(settings.host)
        self._origins = frozenset(origin.lower() for origin in settings.allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _trim(scope)
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        refusal = self._refusal(scope, headers.get("host"), origin)
        if refusal is not None:
            await self._draw(scope, refusal)(scope, receive, send)
        elif origin is None or origin.lower() not in self._origins:
            await self._app(scope, receive, send)
        else:
            await self._for_origin(origin, scope, receive, send)

    def _refusal(self, scope: Scope, host: str | None, origin: str | None) -> CanteenError | None:
        if not self._is_known_host(host, scope):
            return Forbidden("this Host is not served here; list it in CANTEEN_ALLOWED_HOSTS")
        if origin is not None and not self._is_known_origin(origin, host):
            return Forbidden("this Origin may not call; list it in CANTEEN_ORIGINS")
        if scope.get(SURPLUS):
            return Overloaded(
                "too many connections are open; close some or use them again",
                retry_after_s=1.0,
                code="too_many_connections",
            )
        if self._drain.is_refusing and not scope["path"].startswith(WATCHED_PATHS):
            return Overloaded(
                "the server is shutting down; ask again", retry_after_s=1.0, code="draining"
            )
        return None

    def _is_known_host(self, host: str | None, scope: Scope) -> bool:
        """HTTP/1.0 has no Host, and no browser speaks it.

        The address that was connected to is ours. Open to the network, any address is: a page
        of a stranger can make a browser send a name here, but not a number of its choice.
        """
        if host is None:
            return True
        name = _hostname(host)
        server = scope.get("server")
        if name in self._hosts or (server and name == server[0]):
            return True
        return self._is_remote and _is_address(name)

    def _is_known_origin(self, origin: str, host: str | None) -> bool:
        if origin.lower() in self._origins:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        is_web = parts.scheme in ("http", "https")
        return is_web and host is not None and parts.netloc.lower() == host.lower()

    async def _for_origin(self, origin: str, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_allowed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["access-control-allow-origin"] = origin
                headers["access-control-expose-headers"] = EXPOSED_HEADERS
                headers.add_vary_header("origin")
            await send(message)

        asked = Headers(scope=scope)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in asked:
            preflight = {
                "access-control-allow-methods": ALLOWED_METHODS,
                "access-control-allow-headers": asked.get("access-control-request-headers", "*"),
                "access-control-max-age": PREFLIGHT_IS_GOOD_FOR_S,
            }
            await Response(status_code=204, headers=preflight)(scope, receive, send_allowed)
            return
        await self._app(scope, receive, send_allowed)


def _hostname(host: str) -> str | None:
    """A Host's name without its port; None for what cannot be one."""
    try:
        bare = host if ":" not in host or host.startswith("[") or host.count(":") == 1 else None
        return urlsplit(f"//{bare or f'[{host}]'}").hostname
    except ValueError:
        return None


def _is_address(name: str | None) -> bool:
    try:
        return name is not None and bool(ip_address(name))
    except ValueError:
        return False


def _trim(scope: Scope) -> None:
    """A trailing slash means nothing; a redirect would lose the body of a POST."""
    path = scope["path"]
    if len(path) > 1 and path.endswith("/"):
        scope["path"] = path.rstrip("/") or "/"
        scope["raw_path"] = scope["path"].encode()
        scope[TRIMMED] = True
