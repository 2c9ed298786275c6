"""Where a machine stands: what its building, its cooling and its grid take for each kWh."""

from dataclasses import dataclass

from canteen.core.units import Quantity


@dataclass(frozen=True, slots=True)
class Site:
    """A place. `pue` is facility over IT energy; `wue` is water evaporated on site in L/kWh of IT
    energy, `ewif` that of making the power in L/kWh, `carbon_intensity` in g/kWh."""

    name: str
    pue: Quantity
    wue: Quantity
    ewif: Quantity
    carbon_intensity: Quantity
