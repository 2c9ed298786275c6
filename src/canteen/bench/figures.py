"""What was seen of each request, and the figures of many."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request; times are of one clock, in seconds.

    `due_s` is its arrival and `sent_s` when the generator came to send it. `text_s` are the times
    at which text came. `error` is empty for an answer that came whole, else its status or a word.
    """

    due_s: float
    sent_s: float
    end_s: float
    text_s: Sequence[float] = ()
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""
    message: str = ""
    retry_after_s: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the answer came to its end."""
        return not self.error

    @property
    def ttft_s(self) -> float:
        """Arrival to the first text, queueing included; NaN where none came."""
        return self.text_s[0] - self.due_s if self.text_s else math.nan

    @property
    def tpot_s(self) -> float:
        """Time per token after the first; NaN for an answer of one token."""
        if self.completion_tokens < 2 or not self.text_s:
            return math.nan
        return (self.text_s[-1] - self.text_s[0]) / (self.completion_tokens - 1)

    @property
    def e2e_s(self) -> float:
        """Arrival to the end."""
        return self.end_s - self.due_s

    def tokens_until(self, end_s: float) -> float:
        """Tokens that came by then, were they spread evenly over its pieces of text."""
        come = sum(at_s <= end_s for at_s in self.text_s)
        return self.completion_tokens * come / max(1, len(self.text_s))

    def share_until(self, end_s: float) -> float:
        """How much of it was done by then; streams in step all end at once, a little too late."""
        return min(1.0, max(0.0, end_s - self.due_s) / max(self.e2e_s, 1e-9))


@dataclass(frozen=True, slots=True)
class Run:
    """The outcomes of one level of load, and the window in which it was at that level."""

    outcomes: Sequence[Outcome]
    began_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class Objectives:
    """What makes an answer good; a limit left out holds always."""

    ttft_s: float = math.inf
    tpot_s: float = math.inf
    e2e_s: float = math.inf

    def are_met(self, outcome: Outcome) -> bool:
        """Whether it came whole and in time; one token has no time per further token."""
        return (
            outcome.is_whole
            and not outcome.ttft_s > self.ttft_s
            and not outcome.tpot_s > self.tpot_s
            and outcome.e2e_s <= self.e2e_s
        )


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle and the tail of some durations in seconds; NaN where there was none."""

    median: float = math.nan
    p90: float = math.nan
    p99: float = math.nan

    @classmethod
    def of(cls, values_s: Iterable[float]) -> "Spread":
        """The spread of those that are numbers."""
        known = [value for value in values_s if not math.isnan(value)]
        return cls(*map(float, np.percentile(known, (50, 90, 99)))) if known else cls()


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a run. `goodput_per_s` counts the good answers, `good_share` is of all.

    `late` is by how much the generator itself was behind its schedule: where it is not small
    beside `ttft`, the other figures say little.
    """

    num_requests: int
    num_whole: int
    prompt_tokens: float
    cached_tokens: float
    completion_tokens: float
    output_tokens_per_s: float
    requests_per_s: float
    goodput_per_s: float
    good_share: float
    ttft: Spread
    tpot: Spread
    itl: Spread
    late: Spread
    errors: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run, objectives: Objectives = Objectives()) -> "Figures":
        """Sum up a run. The spreads, and the mean token counts, are those of whole answers."""
        window_s = max(run.ended_s - run.began_s, 1e-9)
        whole = [one for one in run.outcomes if one.is_whole]
        good = [one for one in whole if objectives.are_met(one)]
        return cls(
            num_requests=len(run.outcomes),
            num_whole=len(whole),
            prompt_tokens=_mean(one.prompt_tokens for one in whole),
            cached_tokens=_mean(one.cached_tokens for one in whole),
            completion_tokens=_mean(one.completion_tokens for one in whole),
            output_tokens_per_s=sum(one.tokens_until(run.ended_s) for one in whole) / window_s,
            requests_per_s=sum(one.share_until(run.ended_s) for one in whole) / window_s,
            goodput_per_s=sum(one.share_until(run.ended_s) for one in good) / window_s,
            good_share=len(good) / max(1, len(run.outcomes)),
            ttft=Spread.of(one.ttft_s for one in whole),
            tpot=Spread.of(one.tpot_s for one in whole),
            itl=Spread.of(b - a for one in whole for a, b in pairwise(one.text_s)),
            late=Spread.of(one.sent_s - one.due_s for one in run.outcomes),
            errors=dict(Counter(one.error for one in run.outcomes if one.error)),
        )


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else math.nan
