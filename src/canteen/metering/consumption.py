"""What was eaten and drunk, as Prometheus counts it: by model and phase, receipts as exemplars."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from canteen.core.footprint import Account, Footprint, Receipt
from canteen.core.units import Quantity, conversion

# What no request is charged for has a phase of its own, and no model.
_NOBODYS: tuple[Account, ...] = ("train", "load", "idle", "unattributed")


class Consumption:
    """Counters of energy, water, carbon and money. Water, carbon and money are of requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, meaning: str, *more: str) -> Counter:
            return Counter(f"llm_{name}", meaning, ("model", "phase", *more), registry=registry)

        self._energy = counter("energy_joules", "Energy as the node's meter counts it")
        self._water = counter("water_ml", "Water consumed, modelled", "scope", "provenance")
        self._carbon = counter("carbon_g", "Operational carbon dioxide equivalent, modelled")
        self._cost = counter("cost_usd", "What it cost")
        self.trouble = Gauge(
            "canteen_ledger_trouble", "1 while receipts cannot be written", registry=registry
        )
        self._booked_uj: dict[str, int] = dict.fromkeys(_NOBODYS, 0)

    def record(self, receipt: Receipt) -> None:
        """Count what a request took, by phase in proportion to its energy."""
        charge, exemplar = receipt.charge, {"receipt_id": receipt.id}
        for phase, energy_uj in (("prefill", charge.prefill_uj), ("decode", charge.decode_uj)):
            if energy_uj:
                self._energy.labels(receipt.model, phase).inc(energy_uj / 1e6, exemplar)
                share = energy_uj / charge.energy_uj
                self._told(receipt.model, phase, receipt.footprint, share, exemplar)
        if receipt.parts and not charge.energy_uj:
            # On no meter of ours, so no counter of energy has it.
            self._told(receipt.model, "elsewhere", receipt.footprint, 1.0, exemplar)

    def book(self, energy_uj: Mapping[Account, int]) -> None:
        """Count what the accounts that are no request's have grown by."""
        for account in _NOBODYS:
            grown_uj = energy_uj[account] - self._booked_uj[account]
            self._booked_uj[account] = energy_uj[account]
            self._energy.labels("", account).inc(grown_uj / 1e6)

    def _told(
        self, model: str, phase: str, told: Footprint, share: float, exemplar: dict[str, str]
    ) -> None:
        for scope, water in (("site", told.water_site), ("source", told.water_source)):
            by_grade = self._water.labels(model, phase, scope, water.grade)
            by_grade.inc(_median(water, "mL") * share, exemplar)
        carbon_g = _median(told.carbon_operational, "g")
        self._carbon.labels(model, phase).inc(carbon_g * share, exemplar)
        if told.cost is not None:
            self._cost.labels(model, phase).inc(_median(told.cost, "USD") * share, exemplar)


def _median(figure: Quantity, unit: str) -> float:
    return figure.central * conversion(figure.unit, unit)
