"""Durations as clients write them."""

import math
from typing import Any

import pytest

from canteen.api.ollama.durations import nanoseconds, seconds


@pytest.mark.parametrize(
    ("value", "expected_s"),
    [
        (0, 0),
        (300, 300),
        (2.5, 2.5),
        ("5m", 300),
        ("1h30m", 5400),
        ("300ms", 0.3),
        ("1.5h", 5400),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("0", 0),
        ("60", 60),
        (" 5m ", 300),
        (-1, math.inf),
        ("-1", math.inf),
        ("-1m", math.inf),
        (1e308, math.inf),
    ],
)
def test_a_duration_is_seconds(value: Any, expected_s: float) -> None:
    assert seconds(value) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    "value", ["", "5x", "m", "5 m", "1h-30m", "nan", "inf", True, [], "9" * 99]
)
def test_what_is_no_duration_is_refused_with_an_example(value: Any) -> None:
    with pytest.raises(ValueError, match="1h30m"):
        seconds(value)


def test_nanoseconds_are_whole() -> None:
    assert nanoseconds(1.5) == 1_500_000_000
    assert isinstance(nanoseconds(0.1), int)
