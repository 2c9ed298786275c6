"""How the program writes figures: three digits, the unit that suits, the interval in brackets."""

from canteen.core.units import Quantity

PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"))


def digits(value: float) -> str:
    """Three significant digits, without an exponent where people write none."""
    if 0.0001 <= value < 999.5:
        return f"{value:#.3g}".rstrip(".")
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if value == 0 or 999.5 <= value < 1e9 else f"{value:.2e}"


def interval(quantity: Quantity) -> str:
    """`101 [70.0, 124]`, or one number where it is exact."""
    value = quantity.central
    if quantity.low == quantity.high:
        return f"{value:,.6g}" if value < 1e6 else f"{value:,.0f}"
    return f"{digits(value)} [{digits(quantity.low)}, {digits(quantity.high)}]"


def scaled(quantity: Quantity) -> Quantity:
    """The same with the prefix that leaves its median from 1 to 1000: `Wh` becomes `mWh`."""
    unit = quantity.unit
    for factor, prefix in PREFIXES:
        if quantity.central >= factor:
            return quantity.to(f"{prefix}{unit}")
    return quantity
