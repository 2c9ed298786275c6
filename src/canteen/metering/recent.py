"""What was written and how soon it came, lately, by model; cheap enough to note for each chunk."""

import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# So long an answer tells how soon answers come now, and so many of a model are remembered.
LATELY_S = 60.0
MOST_ANSWERS = 512
QUANTILES = {"p50": 0.5, "p95": 0.95}


@dataclass(frozen=True, slots=True)
class _Answer:
    at_s: float
    ttft_s: float | None
    tpot_s: float | None


class Recent:
    """The last answers of each model. `clock` gives seconds; only their differences matter."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._written: Counter[str] = Counter()
        self._answers: dict[str, deque[_Answer]] = defaultdict(lambda: deque(maxlen=MOST_ANSWERS))
        self._run_by: dict[str, str] = {}

    def runs(self, model: str, loaded: str) -> None:
        """A model is run by what was loaded under a name, which may be another one: of the same
        weights, or of the model that it is an adapter of. What it does is told of that."""
        self._run_by[model] = loaded

    def wrote(self, model: str, num_tokens: int) -> None:
        """A model has written so many more tokens."""
        self._written[self._run_by.get(model, model)] += num_tokens

    def answered(self, model: str, ttft_s: float | None, tpot_s: float | None) -> None:
        """An answer has ended, with such times to its first token and between its tokens."""
        answers = self._answers[self._run_by.get(model, model)]
        answers.append(_Answer(self._clock(), ttft_s, tpot_s))

    def written(self) -> Counter[str]:
        """Tokens that each model has written since the start, of running answers too."""
        return self._written.copy()

    def latencies(self, model: str) -> dict[str, Mapping[str, float] | None]:
        """Quantiles, in seconds, of the answers of the last minute; None where there were none."""
        since_s = self._clock() - LATELY_S
        recent = [one for one in self._answers.get(model, ()) if one.at_s >= since_s]
        return {
            "ttft_s": _quantiles([one.ttft_s for one in recent if one.ttft_s is not None]),
            "tpot_s": _quantiles([one.tpot_s for one in recent if one.tpot_s is not None]),
        }


def _quantiles(values: list[float]) -> Mapping[str, float] | None:
    """Each the smallest value that so large a share does not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return {name: ordered[math.ceil(share * len(ordered)) - 1] for name, share in QUANTILES.items()}
