"""How the service stands now, put among what it has counted, for whoever reads the metrics."""

from collections.abc import Set
from typing import TYPE_CHECKING

from canteen.core.model import full_name
from canteen.metering.metrics import ModelGauges

if TYPE_CHECKING:
    from canteen.bootstrap import Services


async def refresh(services: "Services") -> None:
    """Have the gauges tell of now."""
    loaded = [
        ModelGauges(
            model=one.card.name,
            num_running=one.num_running,
            num_waiting=one.num_waiting,
            kv_cache_usage=one.kv_cache_usage,
            memory_bytes=one.memory_bytes,
            oldest_wait_s=one.oldest_wait_s,
            load_bytes=one.load_bytes,
            planned_bytes=services.planned_bytes(one.card),
            circuit=one.circuit,
        )
        for one in await services.loaded()
    ]
    loaded += _not_loaded(services, {one.model for one in loaded})
    booked_uj = services.accounting.node.accounts().energy_uj
    services.metrics.book(booked_uj, has_trouble=bool(services.ledger.trouble))
    services.metrics.gauge(services.version, loaded)


def _not_loaded(services: "Services", loaded: Set[str]) -> list[ModelGauges]:
    """The default model while it is not in memory. A router that finds no queue at all does not
    take it for an empty one."""
    name = full_name(services.settings.default_model)
    here = [card for card in services.catalog.list() if card.name == name and not card.members]
    return [ModelGauges(name, 0, 0, 0.0, 0, 0.0) for _ in here if name not in loaded]
