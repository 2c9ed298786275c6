"""The routes whose requests may be answered later: those at which a model is asked."""

from collections.abc import Iterable

from starlette.routing import compile_path

from canteen.api.routing import Dialect, Route
from canteen.core.errors import InvalidRequest

_EXAMPLES = "/v1/chat/completions, /v1/embeddings, /v1/tasks/classify, /api/chat"


class Deferrable:
    """The routes of dialects that may be asked in the background, by their paths."""

    def __init__(self, dialects: Iterable[Dialect]) -> None:
        self._routes = [
            (compile_path(prefix + route.path)[0], route)
            for dialect in dialects
            for prefix in dialect.prefixes
            for route in dialect.routes
            if route.is_kept_by_key
        ]

    def find(self, path: str) -> Route | None:
        """The route of a path, if it is one of them."""
        return next((route for pattern, route in self._routes if pattern.match(path)), None)

    def get(self, path: str, param: str) -> Route:
        """The route of a path; raises InvalidRequest."""
        route = self.find(path)
        if route is None:
            raise InvalidRequest(
                f"no model is asked at '{path[:128]}'; paths such as {_EXAMPLES} are meant",
                param=param,
            )
        return route
