"""Gates: what a model must reach before a name moves to it, as people write it."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

from canteen.core.errors import InvalidRequest

Op = Literal[">=", "<=", ">", "<"]

# Short names of built-in data sets.
ALIASES = {
    "sentiment": "movie-sentiment",
    "sentiment3": "three-sentiments",
    "spam": "spam-assassin",
    "topics": "reuters-r8",
}
# What the store knows of a model since it was prepared; `on` a data set are all others.
RECORDED = ("perplexity", "decode_tokens_per_s", "bytes")
PERPLEXITY = "perplexity"
EXAMPLE = "accuracy>=0.85 on sentiment; perplexity<=1.02x"

# What joins conditions; and what is quoted, within which nothing does.
_JOIN = re.compile(r"\"[^\"]*\"|;|\s+and\s+", re.IGNORECASE)
_METRIC = re.compile(r"\s*([A-Za-z][\w.]*(?:\[[^\]]*\])?)")
_OP = re.compile(r"\s*(>=|<=|>|<)")
_VALUE = re.compile(r"\s*((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(x?)(?=\s|$)")
_DATA = re.compile(r"\s*on\s+(?:\"([^\"]+)\"|(\S+))(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Condition:
    """A metric, of a data set or as recorded, and its bound; `is_relative` is in times of what
    the name holds now."""

    metric: str
    op: Op
    bound: float
    is_relative: bool = False
    data: str = ""

    @property
    def text(self) -> str:
        """As it is written."""
        times = "x" if self.is_relative else ""
        where = f" on {_quoted(self.data)}" if self.data else ""
        return f"{self.metric}{self.op}{self.bound:g}{times}{where}"

    @property
    def question(self) -> "Question":
        """What has to be measured."""
        return Question("" if self.is_recorded else self.data, self.is_perplexity_of_text)

    @property
    def is_recorded(self) -> bool:
        """Whether the store knows it already."""
        return self.metric in RECORDED and not self.data

    @property
    def is_perplexity_of_text(self) -> bool:
        """Whether it is the perplexity of a text of the caller's own."""
        return self.metric == PERPLEXITY and bool(self.data)


@dataclass(frozen=True, slots=True)
class Question:
    """What conditions can share: a data set, or a text whose perplexity is wanted, or (without
    data) what the store knows."""

    data: str
    is_perplexity: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and its 95 % interval; the bounds are the value where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A condition with the figures of the candidate and of what the name holds now, None where
    that was not measured. Of `num_items` that were asked, both models together, `num_failed` got
    no answer."""

    condition: str
    candidate: Figure
    current: Figure | None
    bound: float
    holds: bool
    num_items: int = 0
    num_failed: int = 0


def parse(text: str) -> tuple[Condition, ...]:
    """The conditions of a gate, `METRIC OP VALUE[x] [on DATA]` joined by `;` or `and`.

    Raises InvalidRequest, which points at the place.
    """
    found = [_condition(text, start, part) for start, part in _parts(text)]
    if not found:
        raise InvalidRequest(
            f'the gate is empty; write what must hold, as in "{EXAMPLE}"', param="gate"
        )
    return tuple(found)


def judge(
    condition: Condition, candidate: Figure, current: Figure | None, *, is_sure: bool = False
) -> Verdict:
    """Whether a condition holds: of the value itself, or with `is_sure` of all of its interval.

    A relative bound is of the current value. Raises InvalidRequest where that is not there, or
    where the bound is no number any more.
    """
    bound = condition.bound
    if condition.is_relative:
        if current is None:
            raise InvalidRequest(
                f"'{condition.text}' compares with what the name holds, and it holds nothing "
                "yet; give a bound without x for the first promotion",
                param="gate",
            )
        bound *= current.value
    if not math.isfinite(bound):
        raise _too_large(condition.text)
    asks_least = condition.op.startswith(">")
    worst = candidate.low if asks_least else candidate.high
    value = worst if is_sure else candidate.value
    return Verdict(condition.text, candidate, current, bound, _holds(value, condition.op, bound))


def exact(value: float) -> Figure:
    """A figure without an interval."""
    return Figure(value, value, value)


def _holds(value: float, op: Op, bound: float) -> bool:
    if math.isnan(value) or math.isnan(bound):
        return False
    if op == ">=":
        return value >= bound
    if op == "<=":
        return value <= bound
    return value > bound if op == ">" else value < bound


def _too_large(condition: str) -> InvalidRequest:
    return InvalidRequest(
        f"the bound of '{condition}' is too large for a number; give a smaller one", param="gate"
    )


def _parts(text: str) -> Sequence[tuple[int, str]]:
    """The conditions and where each begins."""
    joins = [one.span() for one in _JOIN.finditer(text) if not one.group().startswith('"')]
    starts = [0, *(end for _, end in joins)]
    ends = [*(start for start, _ in joins), len(text)]
    parts = [(start, text[start:end]) for start, end in zip(starts, ends, strict=True)]
    return [one for one in parts if one[1].strip()]


def _condition(text: str, start: int, part: str) -> Condition:
    read = _Reader(text, start, part)
    (metric,) = read.next(_METRIC, "the name of a metric, as accuracy or perplexity")
    (op,) = read.next(_OP, "one of >=, <=, > and <")
    value, times = read.next(_VALUE, "a number, as 0.85, or 1.02x for times of the current")
    data = ""
    if part[read.place :].strip():
        quoted, plain = read.next(_DATA, "the end of the condition, or on and a data set")
        data = quoted or plain
        read.end()
    if not data and metric not in RECORDED:
        read.fail(f"on and a data set, which {metric} is measured on (as: on sentiment)")
    if data and metric in RECORDED and metric != PERPLEXITY:
        read.fail(f"no data set, since {metric} is known of a model as it was prepared")
    if not math.isfinite(float(value)):
        raise _too_large(part.strip())
    return Condition(metric, op, float(value), bool(times), ALIASES.get(data, data))  # type: ignore[arg-type]


class _Reader:
    """Goes through a condition and says what is missing where."""

    def __init__(self, text: str, start: int, part: str) -> None:
        self._text = text
        self._start = start
        self._part = part
        self.place = 0

    def next(self, pattern: re.Pattern[str], wanted: str) -> Sequence[str]:
        """The groups of what comes next."""
        found = pattern.match(self._part, self.place)
        if found is None:
            self.fail(wanted)
        self.place = found.end()
        return found.groups(default="")

    def end(self) -> None:
        """Nothing may follow."""
        if self._part[self.place :].strip():
            self.fail("; or and before the next condition")

    def fail(self, wanted: str) -> NoReturn:
        """Raises InvalidRequest that points at the place."""
        rest = self._part[self.place :]
        place = self._start + self.place + len(rest) - len(rest.lstrip())
        there = self._text[place : place + 20].split(";")[0].strip()
        at = f"at '{there}'" if there else "at its end"
        raise InvalidRequest(
            f"the gate is wrong at character {place + 1} ({at}): there must be {wanted}; "
            f'a gate is like "{EXAMPLE}"',
            param="gate",
        )


def _quoted(data: str) -> str:
    return f'"{data}"' if re.search(r"[\s;]", data) else data
