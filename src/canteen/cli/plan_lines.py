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

# Below so much of the one, the other is what people say.
_FINER = {
    "day": (1.0, "h"),
    "h": (0.25, "s"),
    "MWh": (1.0, "Wh"),
    "t": (1.0, "g"),
    "L": (1.0, "mL"),
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
    small = _suited(quantity)
    unit = "" if small.unit == "1" else _WORDS.get(small.unit, small.unit)
    return f"{interval(small)} {unit}".rstrip()


def _suited(quantity: Quantity) -> Quantity:
    """The same in the unit that suits its size."""
    least, finer = _FINER.get(quantity.unit, (0.0, ""))
    if quantity.central < least:
        return _suited(quantity.to(finer))
    return scaled(quantity) if quantity.unit in ("Wh", "g", "s") else quantity


def row(name: str, value: str) -> str:
    """A figure under its name."""
    return f"  {name:18} {value}"
