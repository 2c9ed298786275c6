"""Durations as Ollama's clients write them: seconds, or Go's text like 1h30m."""

import math
import re
from typing import Any

UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
# What is longer than a clock can count is for ever.
LONGEST_S = 100 * 365 * 86400
NANOSECONDS = 1_000_000_000

_NUMBER = r"(?:\d+\.?\d*|\.\d+)"
_PART = re.compile(rf"({_NUMBER})(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_DURATION = re.compile(rf"([+-]?)((?:{_PART.pattern})+)", re.ASCII)
_PLAIN = re.compile(rf"[+-]?{_NUMBER}", re.ASCII)
_LONGEST_TEXT = 64


def seconds(value: Any) -> float:
    """Seconds; infinite for a negative or very long duration. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(_expected())
    number = _parsed(value.strip()) if isinstance(value, str) else float(value)
    return math.inf if number < 0 or number > LONGEST_S else number


def nanoseconds(seconds: float) -> int:
    """Whole nanoseconds, as every duration of an answer is."""
    return round(seconds * NANOSECONDS)


def _parsed(text: str) -> float:
    if len(text) > _LONGEST_TEXT:
        raise ValueError(_expected())
    if _PLAIN.fullmatch(text):
        return float(text)
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(_expected())
    total = sum(float(number) * UNITS_S[unit] for number, unit in _PART.findall(found[2]))
    return -total if found[1] == "-" else total


def _expected() -> str:
    return "Input should be seconds or a duration like 5m, 1h30m or 300ms; negative is for ever"
