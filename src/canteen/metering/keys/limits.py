"""How much a key may have, and whether what is asked for still fits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, cast

from canteen.core.errors import InvalidRequest

Unit = Literal["requests", "tokens", "usd", "wh", "ml"]
# `moment`: what is under way at once.
Per = Literal["moment", "minute", "day", "month"]

CONCURRENCY = "concurrency"
# Dollars, watt-hours and millilitres are counted in billionths, so that they add up exactly.
BILLION = 1_000_000_000
_NAME = re.compile(r"(requests|tokens|usd|wh|ml)_per_(minute|day|month)")
_MOST = 1 << 62
_WORDS = {"usd": "US dollars", "wh": "Wh", "ml": "ml"}


@dataclass(frozen=True, slots=True, order=True)
class Limit:
    """So much of a unit in a period; `most` is in billionths where the unit is no count."""

    unit: Unit
    per: Per
    most: int

    @property
    def name(self) -> str:
        """As it is given when a key is made."""
        return CONCURRENCY if self.per == "moment" else f"{self.unit}_per_{self.per}"

    @property
    def is_budget(self) -> bool:
        """Whether waiting for it to be refilled is no matter of minutes."""
        return self.per in ("day", "month")

    def amount(self, counted: int) -> float:
        """What was counted, in its unit."""
        return counted if self.unit not in _WORDS else counted / BILLION

    def told(self, counted: int) -> str:
        """What was counted, in words."""
        return f"{self.amount(counted):.12g} {_WORDS.get(self.unit, self.unit)}"


def checked(told: Mapping[str, float]) -> dict[str, float]:
    """Limits as they are given, by their names; raises InvalidRequest."""
    for name, most in told.items():
        if name != CONCURRENCY and not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"'{name}' is no limit; there are concurrency, and requests, tokens, usd, wh and "
                "ml, each with _per_minute, _per_day or _per_month",
                param="limits",
            )
        if not 0 <= most < _MOST / BILLION:
            raise InvalidRequest(f"{name} must be a number, 0 or more", param="limits")
    return dict(told)


def limits_of(told: Mapping[str, float]) -> tuple[Limit, ...]:
    """Limits by their names."""
    return _limits(tuple(sorted(told.items())))


@lru_cache(maxsize=1024)
def _limits(told: tuple[tuple[str, float], ...]) -> tuple[Limit, ...]:
    made = []
    for name, most in told:
        unit, _, per = ("requests_per_moment" if name == CONCURRENCY else name).partition("_per_")
        is_count = unit in ("requests", "tokens")
        whole = int(most) if is_count else round(most * BILLION)
        made.append(Limit(cast(Unit, unit), cast(Per, per), whole))
    return tuple(made)


def period(per: Per, now_s: float) -> tuple[int, int]:
    """When the period of a moment begins and ends, seconds since 1970; days are those of UTC."""
    if per == "moment":
        return 0, 0
    # Nothing begins within a minute, and a request asks for its periods many times.
    return _period(per, int(now_s // 60) * 60)


@lru_cache(maxsize=1024)
def _period(per: Per, minute_s: int) -> tuple[int, int]:
    if per == "minute":
        return minute_s, minute_s + 60
    now = datetime.fromtimestamp(minute_s, UTC)
    day = now.replace(hour=0, minute=0)
    if per == "day":
        return _seconds(day, day + timedelta(days=1))
    month = day.replace(day=1)
    return _seconds(month, (month + timedelta(days=32)).replace(day=1))


def _seconds(begins: datetime, ends: datetime) -> tuple[int, int]:
    return int(begins.timestamp()), int(ends.timestamp())


@dataclass(slots=True)
class Cell:
    """What a key has had of a unit in a period, and what is held for requests under way."""

    used: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request may take at most: `most_tokens`, or, where it can be made shorter, as many as
    there are but no less than `least_tokens`. `per_token` has the most that a token takes of the
    units that are known only afterwards; None where nothing was measured yet.
    """

    most_tokens: int = 0
    least_tokens: int = 0
    per_token: Mapping[Unit, int | None] | None = None
    num_requests: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """What is held for a request: how many tokens it may take, and amounts by limit."""

    tokens: int
    amounts: Mapping[Limit, int]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What does not fit. `left` is what there still is, and `wanted` at least asked for.

    `waits_for_others`: it would fit if what is under way took less than is held for it. `is_too_
    large`: it would not fit into a period that has just begun.
    """

    limit: Limit
    wanted: int
    left: int
    waits_for_others: bool
    is_too_large: bool


def decide(ask: Ask, cells: Sequence[tuple[Limit, Cell]]) -> Grant | Refusal:
    """Whether what is asked for fits into every limit, as each stands."""
    tokens = ask.most_tokens
    for limit, cell in cells:
        left = limit.most - cell.used - cell.held
        least = _least(ask, limit)
        if left < least:
            return Refusal(
                limit,
                least,
                max(left, 0),
                waits_for_others=limit.most - cell.used >= least,
                is_too_large=least > limit.most,
            )
        rate = _rate(ask, limit)
        if rate:
            tokens = min(tokens, left // rate)
    amounts = {}
    for limit, cell in cells:
        rate = _rate(ask, limit)
        left = limit.most - cell.used - cell.held
        if limit.unit == "requests":
            amounts[limit] = ask.num_requests
        else:
            # What nothing is known of may take all there is, so nobody else begins meanwhile.
            amounts[limit] = left if rate is None else tokens * rate
    return Grant(tokens, amounts)


def _rate(ask: Ask, limit: Limit) -> int | None:
    """The most that a token takes of a limit's unit; 0 for requests, None where unknown."""
    if limit.unit == "requests":
        return 0
    return 1 if limit.unit == "tokens" else (ask.per_token or {}).get(limit.unit)


def _least(ask: Ask, limit: Limit) -> int:
    rate = _rate(ask, limit)
    if limit.unit == "requests":
        return ask.num_requests
    return 1 if rate is None else ask.least_tokens * rate
