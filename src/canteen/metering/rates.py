"""What a counted joule and a second of the devices mean, worked out once for all receipts."""

from dataclasses import dataclass

from canteen.core.footprint import Charge, Footprint
from canteen.core.units import Boundary, Quantity, exact, total
from canteen.factors import site as formulas
from canteen.factors.places import Site


@dataclass(frozen=True, slots=True)
class Rates:
    """A Footprint is linear in energy and device time: these are its slopes.

    The first four are of one counted joule, in J, L, L and g; `carbon_embodied` (g) and
    `cost_of_time` (USD) are of one device-second, `cost_of_energy` (USD) of one counted joule.
    None where nothing is known.
    """

    energy: Quantity
    water_site: Quantity
    water_source: Quantity
    carbon_operational: Quantity
    carbon_embodied: Quantity | None = None
    cost_of_time: Quantity | None = None
    cost_of_energy: Quantity | None = None

    def footprint(self, charge: Charge) -> Footprint:
        """What a charge, or the sum of many, means. Many requests do not average away an error
        that they share, so factors are applied to a sum, not summed."""
        energy_j, time_s = charge.energy_uj / 1e6, charge.device_us / 1e6
        costs = (_times(self.cost_of_time, time_s), _times(self.cost_of_energy, energy_j))
        known = tuple(cost for cost in costs if cost is not None)
        return Footprint(
            energy=self.energy * energy_j,
            water_site=self.water_site * energy_j,
            water_source=self.water_source * energy_j,
            carbon_operational=self.carbon_operational * energy_j,
            carbon_embodied=_times(self.carbon_embodied, time_s),
            cost=known[0] if len(known) == 1 else total(known) if known else None,
        )


@dataclass(frozen=True, slots=True)
class Price:
    """What the machine costs: by the hour (`instance`, USD/h) where it is rented, else
    by its `electricity` (USD/kWh). `embodied` (g) and `life` (year) are of the hardware."""

    instance: Quantity | None = None
    electricity: Quantity | None = None
    embodied: Quantity | None = None
    life: Quantity | None = None


def rates(joule: Quantity, site: Site, price: Price) -> Rates:
    """The slopes for a meter whose counted joule is `joule` at the server's plug."""
    second = exact(1, "s", Boundary(time=joule.boundary.time))
    facility = formulas.facility(joule, site)
    made = None
    if price.embodied is not None and price.life is not None:
        made = formulas.carbon_embodied(second, price.embodied, price.life)
    # A rented machine's price has its electricity in it.
    by_time = (second * price.instance).to("USD") if price.instance is not None else None
    by_energy = None
    if by_time is None and price.electricity is not None:
        by_energy = (facility * price.electricity).to("USD")
    time = Boundary(time=joule.boundary.time)
    return Rates(
        energy=facility,
        water_site=formulas.water_site(joule, site),
        water_source=formulas.water_source(joule, site),
        carbon_operational=formulas.carbon_operational(joule, site),
        carbon_embodied=made,
        cost_of_time=by_time and by_time.bounded(time),
        cost_of_energy=by_energy and by_energy.bounded(time),
    )


def _times(rate: Quantity | None, amount: float) -> Quantity | None:
    return None if rate is None else rate * amount
