"""Where a machine stands: what its building, its cooling and its grid take for each kWh."""

import datetime
from dataclasses import dataclass

from canteen.core.units import Quantity
from canteen.factors.table import Row, find, load

WORLD = "WOR"
OWN_ROOM = "own"


@dataclass(frozen=True, slots=True)
class Site:
    """A place. `pue` is facility over IT energy; `wue` is water evaporated on site in L/kWh of IT
    energy, `ewif` that of making the power in L/kWh, `carbon_intensity` in g/kWh."""

    name: str
    pue: Quantity
    wue: Quantity
    ewif: Quantity
    carbon_intensity: Quantity


def site(region: str = "", provider: str = "", on: datetime.date | None = None) -> Site:
    """The place of a cloud's region, or of a country (ISO 3166, three letters), as run by an
    operator on that day; the latest known where `on` is None.

    Without a region it is the world's mean; without a provider the region's own, else a room of
    one's own. Raises InvalidRequest with the nearest names for unknown ones.
    """
    regions = {row.name: row for row in load("regions").rows}
    grids = {row.name: row for row in load("grids").rows}
    name = find(region or WORLD, [*regions, *grids], "region", "region")
    told = regions.get(name)
    grid = grids[told.text("country") if told is not None else name]
    operator = provider or (told.text("provider") if told is not None else OWN_ROOM)
    run = _operator(operator, on)
    own = told if told is not None and "carbon_intensity" in told.inputs else grid
    return Site(
        name if region else "the world",
        _spread(run.quantity("pue"), "PUE of one site"),
        _spread(run.quantity("wue"), "WUE of one site"),
        _spread(_ewif(grid, grids[WORLD]), "EWIF of one grid"),
        own.quantity("carbon_intensity") * _spreads("carbon intensity of one hour"),
    )


def operator_of(region: str) -> str:
    """Whose region it is; empty for a country, and for what is no region."""
    known = {row.name.lower(): row.text("provider") for row in load("regions").rows}
    return known.get(region.lower(), "")


def regions_of(operator: str) -> list[str]:
    """The regions of a cloud."""
    return [row.name for row in load("regions").rows if row.text("provider") == operator]


def _operator(name: str, on: datetime.date | None) -> Row:
    """The row that holds on the day, or the first one for a day before all."""
    known = load("providers").rows
    found = find(
        _ALIASES.get(name.lower(), name), {row.name for row in known}, "provider", "provider"
    )
    rows = sorted((row for row in known if row.name == found), key=_since)
    valid = [row for row in rows if on is None or _since(row) <= on]
    return valid[-1] if valid else rows[0]


_ALIASES = {"gcp": "google", "azure": "microsoft", "amazon": "aws"}


def _since(row: Row) -> datetime.date:
    return row.date("valid_from") or datetime.date.min


def _ewif(grid: Row, world: Row) -> Quantity:
    return (grid if "ewif" in grid.inputs else world).quantity("ewif")


def _spread(quantity: Quantity, name: str) -> Quantity:
    """A mean as the figure of one place; a range that is given as such stays as it is."""
    return quantity if quantity.low < quantity.high else quantity * _spreads(name)


def _spreads(name: str) -> Quantity:
    return load("spreads").quantities()[name]
