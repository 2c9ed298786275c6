"""What plans can be made with, as JSON: the models, formats, devices, machines, places and days."""

from collections.abc import Iterable
from typing import Any

from canteen.core.model import ModelCard
from canteen.factors import models
from canteen.factors.hardware import devices
from canteen.factors.instances import Instance, instances
from canteen.factors.places import OWN_ROOM
from canteen.factors.table import Row, load
from canteen.planning.config import from_config
from canteen.planning.kv import ELEMENT_BYTES
from canteen.planning.serving import COMPARED
from canteen.planning.subject import has_shape

Json = dict[str, Any]


def offered(cards: Iterable[ModelCard]) -> Json:
    """Everything that a plan can name; `cards` are the models of the store."""
    return {
        "models": [*_stored(cards), *_published()],
        "quantizations": list(COMPARED),
        "kv_caches": list(ELEMENT_BYTES),
        "devices": [_device(name) for name in devices()],
        "instances": [_instance(one) for one in instances().values()],
        "regions": [_region(row) for row in load("regions").rows],
        "countries": sorted(row.name for row in load("grids").rows),
    }


def _stored(cards: Iterable[ModelCard]) -> list[Json]:
    return [
        _model(card.name, card.num_parameters, card.context_length, is_stored=True)
        for card in cards
        if has_shape(card)
    ]


def _published() -> list[Json]:
    return [
        _model(
            name,
            models.published_parameters(name),
            from_config(models.config(name), name).context_length,
            is_stored=False,
        )
        for name in models.names()
    ]


def _model(name: str, parameters: int, context_length: int, *, is_stored: bool) -> Json:
    return {
        "name": name,
        "parameters": parameters,
        "context_length": context_length,
        "is_stored": is_stored,
    }


def _device(name: str) -> Json:
    told = devices()[name]
    return {
        "name": name,
        "kind": told.kind,
        "memory_bytes": None if told.memory is None else int(told.memory.to("B").central),
    }


def _instance(one: Instance) -> Json:
    return {
        "name": one.name,
        "provider": one.provider,
        "device": one.device,
        "num_devices": one.num_devices,
        "memory_bytes": int(one.model_memory.to("B").central),
        "prices": [_price(row) for row in load("prices").rows if row.name == one.name],
    }


def _price(row: Row) -> Json:
    since, until = row.date("valid_from"), row.date("valid_to")
    return {
        "region": row.text("region"),
        "usd_per_h": row.quantity("price", "D").central,
        "valid_from": since and since.isoformat(),
        "valid_to": until and until.isoformat(),
    }


def _region(row: Row) -> Json:
    return {
        "name": row.name,
        "provider": row.text("provider") if "provider" in row.fields else OWN_ROOM,
        "country": row.text("country"),
    }
