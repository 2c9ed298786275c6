"""What counts the energy now, and what one counted joule means then."""

from dataclasses import dataclass

from canteen.core.footprint import Charge, Counted
from canteen.core.units import Grade
from canteen.metering.meter import Meter
from canteen.metering.rates import Rates
from canteen.metering.receipt import provenance


# Compared by identity: they are few, and each has dozens of inputs.
@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """On what terms charges are told: `source`, `boundary` and `grade` are a Meter's."""

    rates: Rates
    source: str
    boundary: Counted
    grade: Grade
    provenance: tuple[str, ...] = ()


def terms(meter: Meter, rates: Rates) -> Terms:
    """Of a meter as it counts now, whose joule has these rates."""
    told = provenance(rates.footprint(Charge(1, 0, 1, 0)), meter.source)
    return Terms(rates, meter.source, meter.boundary, meter.grade, told)
