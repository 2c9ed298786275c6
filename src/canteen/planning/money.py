"""What hardware, tokens and requests cost. Formulas: docs/methodology/money.md."""

from dataclasses import dataclass

from canteen.core.errors import InvalidRequest
from canteen.core.units import Quantity


@dataclass(frozen=True, slots=True)
class Owned:
    """Hardware on one's own premises: its price in USD, its life in years, its mean power in kW at
    the plug, PUE, USD/kWh, and its upkeep in USD/h."""

    capex: Quantity
    life: Quantity
    power: Quantity
    pue: Quantity
    electricity: Quantity
    upkeep: Quantity


def owned_price(owned: Owned) -> Quantity:
    """USD/h of owned hardware, used or not: its price over its life, its power, its upkeep."""
    hardware = (owned.capex / owned.life).to("USD/h")
    power = (owned.power * owned.pue * owned.electricity).to("USD/h")
    return hardware + power + owned.upkeep


def per_mtok(price: Quantity, speed: Quantity, utilization: float) -> Quantity:
    """USD/Mtoken at `speed` (token/s at full load) if full load lasts `utilization` of the paid
    time. Raises InvalidRequest for a utilization that is none."""
    _check_utilization(utilization)
    return (price / (speed * utilization)).to("USD/Mtoken")


def per_request(price: Quantity, device_time: Quantity, utilization: float = 1.0) -> Quantity:
    """USD of a request by its time on the devices; its share of the unused time with it where
    `utilization` is below 1."""
    _check_utilization(utilization)
    return (price * device_time * (1 / utilization)).to("USD")


def idle_price(price: Quantity, utilization: float) -> Quantity:
    """USD/h that pays for nothing."""
    _check_utilization(utilization)
    return price * (1 - utilization)


def _check_utilization(utilization: float) -> None:
    if not 0 < utilization <= 1:
        raise InvalidRequest(
            f"utilization must be above 0 and at most 1, not {utilization}", param="utilization"
        )
