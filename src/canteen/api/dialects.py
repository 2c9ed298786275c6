"""All dialects, and which of them a path belongs to, even one that nothing answers."""

from starlette.responses import Response
from starlette.types import Scope

from canteen.api.anthropic import DIALECT as ANTHROPIC
from canteen.api.console import DIALECT as CONSOLE
from canteen.api.endpoint import drawn
from canteen.api.native import DIALECT as NATIVE
from canteen.api.ollama import DIALECT as OLLAMA
from canteen.api.openai import DIALECT as OPENAI
from canteen.api.routing import Dialect
from canteen.core.errors import CanteenError

# Routes are looked through in this order, so those that are asked most come first.
DIALECTS = (OPENAI, OLLAMA, ANTHROPIC, NATIVE)
# The console is for people: it is served, and is no part of the interface that is described.
SERVED = (*DIALECTS, CONSOLE)


def draw(scope: Scope, error: CanteenError) -> Response:
    """An error of a request as the dialect of its path shows it."""
    return drawn(error, _dialect_of(scope["path"]), scope["canteen.observe"])


def _dialect_of(path: str) -> Dialect:
    """By route, never by Accept."""
    if path == "/" or path.startswith("/api/"):
        return OLLAMA
    usual = OPENAI if _first_part(path) in _OPENAI_ROOTS else NATIVE
    return _BESIDE_OPENAI.get(_two_parts(path), usual)


def _first_part(path: str) -> str:
    return path.lstrip("/").partition("/")[0]


def _two_parts(path: str) -> tuple[str, ...]:
    return tuple(path.lstrip("/").split("/")[:2])


_BESIDE_OPENAI = {
    _two_parts(route.path): dialect
    for dialect in (NATIVE, ANTHROPIC)
    for route in dialect.routes
    if route.path.startswith("/v1/")
}
_OPENAI_ROOTS = {"v1", *(_first_part(route.path) for route in OPENAI.routes)}
