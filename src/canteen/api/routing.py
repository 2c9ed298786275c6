"""Routes as data: what a dialect is, and what its handlers are given."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from canteen.api.errors import status_of
from canteen.api.observation import Observation
from canteen.core.access import Needed
from canteen.core.errors import CanteenError
from canteen.core.model import ModelCard
from canteen.metering.receipt import as_json

if TYPE_CHECKING:
    from canteen.bootstrap import Services

__all__ = ["Dialect", "Observation", "Route", "Served", "status_of"]

Method = Literal["GET", "HEAD", "POST", "DELETE", "PUT"]

_OPERATIONS = {
    "/chat/completions": "chat",
    "/completions": "text_completion",
    "/responses": "chat",
    "/embeddings": "embeddings",
    "/decisions": "decide",
    "/systemone": "decide",
    "/v1/messages": "chat",
    "/api/chat": "chat",
    "/api/generate": "text_completion",
    "/api/embed": "embeddings",
    "/api/embeddings": "embeddings",
    "/v1/tasks/{name}": "prompt",
    "/v1/indexes/{name}/documents": "index",
    "/v1/indexes/{name}/search": "search",
    "/v1/rerank": "rerank",
    "/rerank": "rerank",
    "/api/rerank": "rerank",
}


@dataclass(frozen=True, slots=True)
class Route:
    """One row of a dialect's table.

    `handler` takes the validated body, where `request` names its model, and Served. `streams`
    is the media type of its streamed answer. `raw` leaves the body to the handler, which reads
    it from `served.request`. `scope` is what a caller's key needs; a row that does not say is
    answered to nobody where keys are asked for. GET rows answer HEAD too.
    """

    method: Method
    path: str
    handler: Callable[..., Awaitable[Response]]
    request: type[BaseModel] | None = None
    response: type[BaseModel] | None = None
    summary: str = ""
    streams: str | None = None
    raw: bool = False
    scope: Needed | None = None

    @property
    def operation(self) -> str:
        """The OpenTelemetry name of what a model is asked to do here, empty if nothing."""
        if self.method != "POST":
            return ""
        prefix, _, task = self.path.rpartition("/")
        return _OPERATIONS.get(self.path, task if prefix == "/v1/tasks" else "")

    @property
    def is_kept_by_key(self) -> bool:
        """Whether a caller's Idempotency-Key counts: a model is asked, and the answer is dear."""
        return bool(self.operation) and self.request is not None and not self.raw


@dataclass(frozen=True, slots=True)
class Dialect:
    """A family of routes, where they are mounted, and how errors look there."""

    name: str
    routes: tuple[Route, ...]
    error_body: Callable[[CanteenError, int], dict[str, Any]]
    prefixes: tuple[str, ...] = ("",)
    error_media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Served:
    """What a handler may use besides the body."""

    services: "Services"
    request_id: str
    caller_id: str
    path: Mapping[str, str]
    headers: Mapping[str, str]
    observe: Observation
    request: Request = field(repr=False)

    def models(self) -> list[ModelCard]:
        """The models of the store that the caller may ask."""
        caller, cards = self.observe.caller, self.services.catalog.list()
        return [card for card in cards if caller is None or caller.may_ask(card.name)]

    def footprint(self) -> dict[str, Any]:
        """The key of an answer's final object that is its receipt, where a model worked for it;
        to be asked for when all that has been done for it is done."""
        observe = self.observe
        receipt = self.services.till.settle(observe.receipt_id, observe.usage.queue_s)
        return {} if receipt is None else {"footprint": as_json(receipt)}
