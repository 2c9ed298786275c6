"""Lines of a plan for people: 80 columns, figures with their intervals."""

from textwrap import wrap

from canteen.cli.figures import interval, scaled
from canteen.core.units import Quantity

WIDTH = 80
_WORDS = {
    "USD/Mtoken": "USD a million tokens",
    "USD/h": "USD an hour",
    "token/s": "tokens/s",
    "year": "years",
    "day": "days",
    "h": "hours",
}


def wrapped(text: str, first: str, further: str | None = None) -> list[str]:
    """A text in lines of 80 columns; `first` and `further` begin them."""
    rest = first if further is None else further
    return wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def told(quantity: Quantity) -> str:
    """A figure with its interval and its unit."""
    small = scaled(quantity) if quantity.unit in ("Wh", "g", "s") else quantity
    if quantity.unit == "L" and quantity.central < 1:
        small = quantity.to("mL")
    unit = "" if small.unit == "1" else _WORDS.get(small.unit, small.unit)
    return f"{interval(small)} {unit}".rstrip()


def row(name: str, value: str) -> str:
    """A figure under its name."""
    return f"  {name:18} {value}"
