"""Calendar dates in a text, as they are written in several languages."""

import re
from collections.abc import Iterator
from datetime import date

from canteen.tasks.sentences import Span

# The names and their short forms; a full stop may follow any.
_MONTHS = (
    "january|jan|januar|jänner|janvier|janv|enero|ene|gennaio|gen|januari",
    "february|feb|februar|février|fevrier|févr|febrero|febbraio|februari",
    "march|mar|märz|mrz|mars|marzo|maart",
    "april|apr|avril|avr|abril|abr|aprile",
    "may|mai|mayo|maggio|mag|mei",
    "june|jun|juni|juin|junio|giugno|giu",
    "july|jul|juli|juillet|juil|julio|luglio|lug",
    "august|aug|août|aout|agosto|ago|augustus",
    "september|sep|sept|septembre|septiembre|settembre|set",
    "october|oct|oktober|okt|octobre|octubre|ottobre|ott",
    "november|nov|novembre|noviembre",
    "december|dec|dezember|dez|décembre|déc|diciembre|dic|dicembre",
)
_NUMBERS = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split("|")}
_LONGEST_FIRST = "|".join(sorted(_NUMBERS, key=len, reverse=True))
# The full stop after it may be that of the sentence.
_NAME = rf"(?P<month>{_LONGEST_FIRST})\b(?:\.(?=,?[ ]?[0-9]))?"
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th|\.|º|er)?"
_YEAR = r"(?P<year>[12][0-9]{3})"
_PATTERNS = tuple(
    re.compile(rf"(?<![\w.,/#-]){pattern}(?![\w#]|[.,/:-][0-9])", re.IGNORECASE)
    for pattern in (
        r"(?P<year>[12][0-9]{3})(?P<mark>[-/.])(?P<month>[0-9]{1,2})(?P=mark)(?P<day>[0-9]{1,2})",
        r"(?P<first>[0-9]{1,2})(?P<mark>[-/.])(?P<second>[0-9]{1,2})(?P=mark)"
        r"(?P<year>[12][0-9]{3}|[0-9]{2})",
        rf"{_DAY}[ -](?:of |de )?{_NAME}(?:,? (?:de )?|-){_YEAR}",
        rf"{_NAME}[ ]{_DAY},?[ ]{_YEAR}",
        rf"{_DAY}[ ](?:of |de )?{_NAME}",
        rf"{_NAME}[ ]{_DAY}",
        r"(?P<year>[0-9]{4})年(?P<month>[0-9]{1,2})月(?P<day>[0-9]{1,2})日",
    )
)
# Without a year, any day of a leap year will do.
_LEAP_YEAR = 2000


def dates(text: str) -> Iterator[Span]:
    """What is written like a date and is one; a longer form before the shorter in it."""
    for pattern in _PATTERNS:
        for found in pattern.finditer(text):
            if _is_date(found.groupdict()):
                yield Span(*found.span())


def _is_date(parts: dict[str, str | None]) -> bool:
    year = int(parts.get("year") or _LEAP_YEAR)
    if parts.get("first"):
        first, second = int(parts["first"] or 0), int(parts["second"] or 0)
        # Day and month come in either order.
        return _exists(year, second, first) or _exists(year, first, second)
    month = (parts["month"] or "").lower()
    number = int(month) if month.isdigit() else _NUMBERS[month]
    return _exists(year, number, int(parts["day"] or 0))


def _exists(year: int, month: int, day: int) -> bool:
    try:
        date(year or _LEAP_YEAR, month, day)
    except ValueError:
        return False
    return True
