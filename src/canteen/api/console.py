"""`/console`: the static files of `web`, which speak the public HTTP API like anybody else."""

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path

from starlette.responses import Response

from canteen.api.errors import problem
from canteen.api.guard import TRIMMED
from canteen.api.routing import Dialect, Route, Served

FOLDER = Path(__file__).parents[1] / "web"
INDEX = "index.html"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Nothing but these files is run or shown, whatever a model writes, and nothing is sent elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


async def file(served: Served) -> Response:
    """A file of the console by the last part of its path, asked for anew only where it changed."""
    if served.request.scope.get(TRIMMED):
        # What it refers to is beside it, wherever a proxy has put it.
        return Response(status_code=307, headers={"location": "../console"})
    name = served.request.url.path.removeprefix("/console").strip("/") or INDEX
    content = (FOLDER / name).read_bytes()
    is_small = "gzip" in served.headers.get("accept-encoding", "")
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}{"-gzip" if is_small else ""}"'
    headers = {
        "cache-control": "no-cache",
        "content-security-policy": POLICY,
        "content-type": MEDIA_TYPES[Path(name).suffix],
        "etag": etag,
        "referrer-policy": "no-referrer",
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
    }
    if served.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if is_small:
        return Response(_compressed(content), headers=headers | {"content-encoding": "gzip"})
    return Response(content, headers=headers)


@lru_cache(maxsize=64)
def _compressed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _row(path: str, summary: str) -> Route:
    return Route("GET", path, file, summary=summary, raw=True, scope="open")


# A row for each file: what is no row is answered to nobody.
ROUTES = (
    _row("/console", "The console"),
    *(
        _row(f"/console/{path.name}", "A file of the console")
        for path in sorted(FOLDER.iterdir())
        if path.suffix in MEDIA_TYPES
    ),
)
DIALECT = Dialect("console", ROUTES, problem, error_media_type="application/problem+json")
