"""How the program writes figures: three digits, the unit that suits, the interval in brackets."""

from canteen.core.units import Quantity

PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"))


def digits(value: float) -> str:
    """Three significant digits, without an exponent where people write none."""
    if value == 0:
        return "0"
    if 0.0001 <= value < 1000:
        return f"{value:#.3g}".rstrip(".")
    return f"{value:,.0f}" if 1000 <= value < 1e7 else f"{value:.2e}"


def interval(quantity: Quantity) -> str:
    """`101 [70.0, 124]`, or one number where it is exact."""
    if quantity.low == quantity.high:
        return f"{quantity.central:,.6g}"
    return f"{digits(quantity.central)} [{digits(quantity.low)}, {digits(quantity.high)}]"


def scaled(quantity: Quantity) -> Quantity:
    """The same with the prefix that leaves its median from 1 to 1000: `Wh` becomes `mWh`."""
    unit = quantity.unit
    for factor, prefix in PREFIXES:
        if quantity.central >= factor:
            return quantity.to(f"{prefix}{unit}")
    return quantity
