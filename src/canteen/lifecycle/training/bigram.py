"""The yardstick of a model trained from scratch: an interpolated bigram model."""

import math
from dataclasses import dataclass
from typing import Any

HELD_IN_SHARE = 0.1
ROUNDS = 20
# A weight for tokens that were seen about equally often before: 2 to 3 times, 4 to 7, and so on.
NUM_BUCKETS = 20


@dataclass(frozen=True, slots=True)
class _Counts:
    """How often tokens and pairs were seen; `pairs` are sorted codes of two tokens."""

    vocab_size: int
    before: Any
    single: Any
    pairs: Any
    times: Any

    @classmethod
    def of(cls, ids: Any, vocab_size: int) -> "_Counts":
        import numpy as np

        pairs, times = np.unique(_codes(ids, vocab_size), return_counts=True)
        before = np.bincount(ids[:-1], minlength=vocab_size)
        single = np.bincount(ids, minlength=vocab_size)
        return cls(vocab_size, before, single, pairs, times)

    def probabilities(self, ids: Any) -> Any:
        """Of each token but the first by pairs, by single tokens and by none; (3, tokens - 1)."""
        import numpy as np

        codes = _codes(ids, self.vocab_size)
        found = np.searchsorted(self.pairs, codes).clip(max=len(self.pairs) - 1)
        times = np.where(self.pairs[found] == codes, self.times[found], 0)
        by_pair = times / np.maximum(self.before[ids[:-1]], 1)
        by_single = self.single[ids[1:]] / self.single.sum()
        return np.stack([by_pair, by_single, np.full(len(codes), 1 / self.vocab_size)])

    def buckets(self, ids: Any) -> Any:
        """The weights that each token but the first takes, by the one before it."""
        import numpy as np

        seen = np.log2(self.before[ids[:-1]] + 1).astype(int)
        return seen.clip(max=NUM_BUCKETS - 1)


def perplexity(train: Any, validation: Any, vocab_size: int) -> float:
    """Of the tokens of `validation` but the first, by a model of the tokens of `train`.

    P(b|a) is a weighted mean of how often b followed a, of how often b was seen and of
    1/`vocab_size` (Jelinek and Mercer 1980). The weights depend on how often a was seen, and are
    fitted by expectation maximization on a tenth of `train` that is not counted meanwhile.
    """
    import numpy as np

    train, validation = np.asarray(train, np.int64), np.asarray(validation, np.int64)
    cut = round(len(train) * (1 - HELD_IN_SHARE))
    weights = _fitted(_Counts.of(train[:cut], vocab_size), train[cut:])
    counts = _Counts.of(train, vocab_size)
    parts = counts.probabilities(validation) * weights[:, counts.buckets(validation)]
    return math.exp(-np.log(parts.sum(axis=0)).mean())


def _fitted(counts: _Counts, held_in: Any) -> Any:
    """Weights of the three parts in each bucket, shape (3, NUM_BUCKETS)."""
    import numpy as np

    probabilities, buckets = counts.probabilities(held_in), counts.buckets(held_in)
    weights = np.full((3, NUM_BUCKETS), 1 / 3)
    for _ in range(ROUNDS):
        parts = probabilities * weights[:, buckets]
        parts /= parts.sum(axis=0)
        sums = np.stack([np.bincount(buckets, one, NUM_BUCKETS) for one in parts])
        # One of each keeps what was never met from becoming impossible.
        weights = (sums + 1) / (sums + 1).sum(axis=0)
    return weights


def _codes(ids: Any, vocab_size: int) -> Any:
    return ids[:-1] * vocab_size + ids[1:]
