"""From the energy of a server to what its site and its grid took for it.

Formulas: docs/methodology/energy.md, water.md and carbon.md. Energies go in at the boundary `it`.
"""

from dataclasses import replace

from canteen.core.units import Boundary, Quantity, UnitMismatch
from canteen.factors.places import Site
from canteen.factors.table import load


def facility(energy_it: Quantity, site: Site) -> Quantity:
    """Energy at the building's meter: the server's, times PUE."""
    told = _at_it(energy_it) * site.pue
    return told.bounded(replace(energy_it.boundary, energy="facility")).to(energy_it.unit)


def water_site(energy_it: Quantity, site: Site) -> Quantity:
    """Litres evaporated to cool it. WUE counts IT energy, so PUE has no place here."""
    litres = (_at_it(energy_it) * site.wue).to("L")
    return litres.bounded(Boundary(water="site", time=energy_it.boundary.time))


def water_source(energy_it: Quantity, site: Site) -> Quantity:
    """Litres consumed in making the power, the building's included."""
    litres = (facility(energy_it, site) * site.ewif).to("L")
    return litres.bounded(Boundary(water="source", time=energy_it.boundary.time))


def carbon_operational(energy_it: Quantity, site: Site) -> Quantity:
    """Grams of CO2 equivalent of making the power, by the grid of the place."""
    grams = (facility(energy_it, site) * site.carbon_intensity).to("g")
    return grams.bounded(Boundary(carbon="operational", time=energy_it.boundary.time))


def carbon_embodied(device_time: Quantity, embodied: Quantity, life: Quantity) -> Quantity:
    """Grams of CO2 equivalent of making the hardware: its part of the hardware's life."""
    grams = (embodied * device_time / life).to("g")
    return grams.bounded(Boundary(carbon="embodied", time=device_time.boundary.time))


def host_factor() -> Quantity:
    """A server's energy over its accelerators'."""
    return _server("host over accelerators")


def meter_to_plug() -> Quantity:
    """A server's energy at its plug over what the meters of its parts count."""
    return _server("plug over component meters")


def electricity_price() -> Quantity:
    """USD/kWh where nobody says what it costs."""
    return _server("price of electricity")


def hardware_life() -> Quantity:
    """Years that hardware is kept where nobody says how long."""
    return _server("life of hardware")


def _server(name: str) -> Quantity:
    return load("server").quantities()[name]


def _at_it(energy_it: Quantity) -> Quantity:
    if energy_it.boundary.energy != "it":
        raise UnitMismatch(f"'{energy_it.boundary}' is not the energy of a server at its plug")
    return energy_it
