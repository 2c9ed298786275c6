"""How the service stands now, put among what it has counted, for whoever reads the metrics."""

from typing import TYPE_CHECKING

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
    booked_uj = services.accounting.node.accounts().energy_uj
    services.metrics.book(booked_uj, has_trouble=bool(services.ledger.trouble))
    services.metrics.gauge(services.version, loaded)
