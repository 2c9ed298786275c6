"""Who caused how much of a step, in closed form, and how a whole is split in integers.

The form is the Shapley value of a step's cost; docs/methodology/metering.md derives it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from canteen.core.engine import Work

# Weights become integers of so many bits, so that a split is exact.
_BITS = 52


@dataclass(frozen=True, slots=True)
class StepCost:
    """What a step takes of its device, in seconds; only the ratios matter.

    `fixed_s` is common to all in the step: its overhead, and reading the weights. `token_s` is
    computing one token, `attention_s` is added for every token of context that it looks at, and
    `cache_s` is reading one token of context from the cache. The default makes tokens equal,
    for a model of which nothing is known.
    """

    fixed_s: float = 0.0
    token_s: float = 1.0
    attention_s: float = 0.0
    cache_s: float = 0.0

    def of_own(self, work: Work) -> float:
        """What one row of work takes beside the common part, in seconds."""
        tokens = work.prefill_tokens + work.decode_tokens
        # A prompt's tokens look at the context before them and, on average, at half of theirs.
        attended = tokens * work.context_tokens + work.prefill_tokens**2 / 2
        return (
            tokens * self.token_s + attended * self.attention_s + work.context_tokens * self.cache_s
        )


@dataclass(slots=True)
class Weights:
    """What a request's steps took so far, in seconds of a StepCost."""

    prefill_s: float = 0.0
    decode_s: float = 0.0


def add_step(
    weights: dict[str, Weights], cost: StepCost, work: Sequence[Work], num_requests: int = 0
) -> None:
    """Add a step to what its requests took: an equal part of what is common, and their own. Where
    `work` has some of them only, `num_requests` says how many there were."""
    num_rows = _num_rows(work)
    common_s = cost.fixed_s / (num_requests or len(num_rows)) if num_rows else 0.0
    for row in work:
        taken = weights.get(row.request_id)
        if taken is None:
            taken = weights[row.request_id] = Weights()
        part_s = common_s / num_rows[row.request_id] + cost.of_own(row)
        if row.prefill_tokens:
            taken.prefill_s += part_s
        else:
            taken.decode_s += part_s


def _num_rows(work: Sequence[Work]) -> Mapping[str, int]:
    """How many sequences each request has in a step; a Counter of one row takes as long as all
    the rest."""
    if len(work) == 1:
        return {work[0].request_id: 1}
    return Counter(row.request_id for row in work)


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Split an integer by weights, not all 0, into integers that sum to it exactly.

    By largest remainder; of equal ones the earlier is rounded up.
    """
    largest = max(weights)
    whole = [int(weight / largest * 2**_BITS) for weight in weights]
    divisor = sum(whole)
    parts = [divmod(total * weight, divisor) for weight in whole]
    shares = [share for share, _ in parts]
    by_remainder = sorted(range(len(parts)), key=lambda index: -parts[index][1])
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares
