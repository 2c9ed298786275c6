"""`/console`: the static files of `web`, which speak the public HTTP API like anybody else."""

import hashlib
from pathlib import Path

from starlette.responses import Response

from canteen.api.errors import problem
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
    name = served.request.url.path.removeprefix("/console").strip("/") or INDEX
    content = _content(name)
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {
        "cache-control": "no-cache",
        "content-security-policy": POLICY,
        "content-type": MEDIA_TYPES[Path(name).suffix],
        "etag": etag,
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    if served.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers)


def _content(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


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
