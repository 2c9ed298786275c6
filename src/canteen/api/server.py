"""The HTTP server process: binds, serves, and leaves in good order when told to."""

import asyncio
import errno
import gc
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx

from canteen.api import listening
from canteen.api.app import App, create_app
from canteen.api.fronts import Fronts
from canteen.api.listening import END_WITHIN_S
from canteen.api.ollama.routes import GREETING
from canteen.core.addresses import is_loopback
from canteen.core.errors import CanteenError, InvalidRequest
from canteen.core.turns import guarded

if TYPE_CHECKING:
    from canteen.bootstrap import Services
    from canteen.settings import Settings

logger = logging.getLogger(__name__)

SWITCH_S = 0.0005
PROBE_WITHIN_S = 1.0
UNWARMED = "the default model did not warm up"


def check_is_allowed(settings: "Settings", *, asks_for_keys: bool) -> None:
    """Raises InvalidRequest for an address beyond loopback where nobody has to show a key, unless
    that was allowed."""
    if not (asks_for_keys or settings.allow_remote or is_loopback(settings.host)):
        raise InvalidRequest(
            f"{settings.host} is reachable from other machines, and no key is asked for; make one "
            "with `canteen keys create NAME`. If everybody may call, say --allow-remote "
            "(CANTEEN_ALLOW_REMOTE=1), else serve on 127.0.0.1",
            param="CANTEEN_HOST",
        )


def bind(host: str, port: int) -> socket.socket:
    """A socket that holds the port; raises InvalidRequest, saying what answers there already.

    It does not listen before the server does: until then callers are refused, not kept waiting.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as exc:
        raise InvalidRequest(f"{host} is no address of this machine", param="host") from exc
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as exc:
        listener.close()
        raise InvalidRequest(_why_not_bound(host, port, exc), param="port") from exc
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a listening socket is reached from this machine."""
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    name = f"[{address}]" if address.version == 6 else str(address)
    return f"http://{name}:{port}"


def serve(
    services: "Services", listener: socket.socket, on_bound: Callable[[str], None] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, then drain and close; call it in the main thread.

    `on_bound` is called with the URL once requests are accepted, before the model is loaded.
    """
    asyncio.run(_serve(services, listener, on_bound))


async def _serve(
    services: "Services", listener: socket.socket, on_bound: Callable[[str], None] | None
) -> None:
    app = create_app(services)
    # Threads that keep books and send traces take turns with the event loop at every statement; at
    # Python's usual 5 ms a turn, an answer would wait for dozens of those.
    sys.setswitchinterval(SWITCH_S)
    services.accounting.start()
    is_alone = services.settings.http_processes == 1
    door = _Alone(app, listener) if is_alone else Fronts(app, listener, services.settings)
    leaving = _Leaving(services, app, door.end)
    leaving.listen_to_signals()
    warming = asyncio.ensure_future(_warm_up(services))
    # What is there now stays: the collector would look through it for 25 ms every so often.
    gc.collect()
    gc.freeze()
    app.start()
    try:
        await door.start()
        if on_bound is not None:
            on_bound(url_of(listener))
        await door.serve()
    finally:
        warming.cancel()
        with suppress(asyncio.CancelledError):
            await warming
        await app.stop()
        await services.close()
        await asyncio.to_thread(app.close)


async def _warm_up(services: "Services") -> None:
    """A model that will not load must not keep the server from answering about it."""
    await guarded(_warmed(services), None, UNWARMED)


async def _warmed(services: "Services") -> None:
    """An error of ours says itself what is wrong, so where it was raised is not shown."""
    try:
        await services.warm_up()
    except CanteenError as error:
        logger.error("%s: %s", UNWARMED, error.message)


class _Alone:
    """The door of a service that is one process."""

    def __init__(self, app: App, listener: socket.socket) -> None:
        self._server = listening.server(app)
        self._listener = listener

    async def start(self) -> None:
        """It accepts as soon as it serves."""

    async def serve(self) -> None:
        """Until it is told to end, and all is sent."""
        await self._server.serve(sockets=[self._listener])

    def end(self) -> None:
        """Accept no more."""
        self._server.should_exit = True


class _Leaving:
    """SIGTERM: not ready; after the delay refuse; let answers finish; end the rest; stop."""

    def __init__(self, services: "Services", app: App, end: Callable[[], None]) -> None:
        self._services = services
        self._drain = app.drain
        self._end = end
        self._task: asyncio.Task[None] | None = None

    def listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if self._task is not None:
            # Workers end with us: they hold a pipe that our end closes.
            os._exit(128 + number)
        self._services.is_draining = True
        self._task = asyncio.ensure_future(self._leave())

    async def _leave(self) -> None:
        settings = self._services.settings
        logger.info("draining")
        await asyncio.sleep(settings.drain_delay_s)
        self._drain.is_refusing = True
        if not await self._drain.until_idle(settings.drain_timeout_s):
            self._drain.end_all()
            await self._drain.until_idle(END_WITHIN_S)
        self._end()


def _why_not_bound(host: str, port: int, exc: OSError) -> str:
    if exc.errno == errno.EADDRINUSE:
        who = _who_answers(host, port)
        return f"port {port} is taken: {who}; choose another with --port (make serve PORT=…)"
    if exc.errno == errno.EACCES:
        return f"port {port} needs root; choose one above 1023 with --port"
    return f"{host} is no address of this machine; 127.0.0.1 always is"


def _who_answers(host: str, port: int) -> str:
    """What the present owner of a port says of itself."""
    shown = f"[{host}]" if ":" in host else host
    try:
        with httpx.Client(
            base_url=f"http://{shown}:{port}", timeout=PROBE_WITHIN_S, trust_env=False
        ) as client:
            greeting = client.get("/").text.strip()[:60]
            if told := _canteen(greeting, client.get("/version")):
                return told
            version = client.get("/api/version")
            number = version.json().get("version") if version.is_success else None
    except (httpx.HTTPError, ValueError, AttributeError):
        return "something that does not speak HTTP answers there"
    if number:
        return f"{greeting!r}, version {number}, answers there"
    return f"an HTTP server that says {greeting!r} answers there"


def _canteen(greeting: str, version: httpx.Response) -> str:
    """What is told of a Canteen, by its answer to `/version`, which Ollama does not have; empty
    for another service."""
    if 'realm="canteen"' in version.headers.get("www-authenticate", ""):
        return "a Canteen that asks for a key answers there"
    if greeting == GREETING and version.is_success:
        return f"Canteen {version.json().get('version')} answers there"
    return ""
