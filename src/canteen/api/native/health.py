"""Is it started, alive, ready? No probe ever generates text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from starlette.responses import Response

from canteen.api.routing import Served
from canteen.api.whole import whole
from canteen.core.model import ModelCard
from canteen.runtime.slot import LoadedModel

if TYPE_CHECKING:
    from canteen.bootstrap import Services

STATUSES = {
    "waiting": "STARTING",
    "loading": "STARTING",
    "ready": "UP",
    "asleep": "UP",
    "restarting": "DOWN",
    "circuit_open": "DOWN",
    "unloading": "OUT_OF_SERVICE",
}


class Health(BaseModel):
    """A state in the shape of Spring's Actuator."""

    status: str
    components: dict[str, Any] = {}


async def startup(served: Served) -> Response:
    """Up once the default model, where there is one, has produced a token."""
    return _answer(served.services.is_warm, {})


async def live(served: Served) -> Response:
    """Up while the event loop turns, which this answer shows. A busy engine is no reason, nor one
    that hangs: its worker is ended and started again from here."""
    return _answer(True, {})


async def ready(served: Served) -> Response:
    """Up when requests are welcome: warm, not shutting down, and no sole model in pieces. That
    receipts cannot be written, or that the default model is not there, is told, and keeps nobody
    out."""
    services = served.services
    loaded = await services.loaded()
    components = {model.card.name: _component(model) for model in loaded}
    components["service"] = {"status": "OUT_OF_SERVICE" if services.is_draining else "UP"}
    if services.ledger.trouble:
        components["ledger"] = {
            "status": "UNKNOWN",
            "details": {"trouble": "receipts cannot be written now; the log says why"},
        }
    if lack := services.catalog.lack(services.settings.default_model):
        components["default"] = {"status": "UNKNOWN", "details": {"trouble": lack}}
    return _answer(is_ready(services, loaded), components)


def is_ready(services: "Services", loaded: Sequence[LoadedModel]) -> bool:
    """Whether requests are welcome, with these models in memory."""
    is_broken = _is_broken(loaded, services.catalog.list())
    return services.is_warm and not services.is_draining and not is_broken


async def health(served: Served) -> Response:
    """The same as readiness, where tools look by habit."""
    return await ready(served)


async def ping(served: Served) -> Response:
    """The same as liveness, where tools look by habit."""
    return await live(served)


def _is_broken(loaded: Sequence[LoadedModel], cards: Sequence[ModelCard]) -> bool:
    """Whether nothing here can answer. An upstream that is left alone keeps nobody out while there
    is another model of its kind to ask, in memory or not. What a name held before counts for
    nothing."""
    here = {card.name: card.digest for card in cards}
    loaded = [one for one in loaded if here.get(one.card.name) == one.card.digest]
    broken = {one.card.name: one.card for one in loaded if STATUSES[one.state] == "DOWN"}
    if not loaded or len(broken) < len(loaded):
        return False
    kinds = {card.kind for card in broken.values()}
    others = [card for card in cards if card.name not in broken and not card.members]
    is_upstream = any(card.upstream for card in broken.values())
    return not is_upstream or all(card.kind not in kinds for card in others)


def _component(model: LoadedModel) -> dict[str, Any]:
    details: dict[str, Any] = {
        "running": model.num_running,
        "waiting": model.num_waiting,
        "restarts": model.num_restarts,
    }
    if model.circuit:
        details["circuit"] = model.circuit
    return {"status": STATUSES[model.state], "details": details}


def _answer(is_up: bool, components: dict[str, Any]) -> Response:
    body = {"status": "UP" if is_up else "DOWN", "components": components}
    return whole(body, status=200 if is_up else 503, headers={"cache-control": "no-store"})
