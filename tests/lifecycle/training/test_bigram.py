"""The yardstick: an interpolated bigram model."""

import numpy as np
import pytest

from canteen.lifecycle.training import bigram

VOCAB_SIZE = 50


def test_tokens_that_tell_nothing_of_the_next_are_guessed_by_how_often_they_come() -> None:
    random = np.random.default_rng(0)
    shares = np.arange(1, VOCAB_SIZE + 1) / np.arange(1, VOCAB_SIZE + 1).sum()
    train, validation = (random.choice(VOCAB_SIZE, size, p=shares) for size in (200_000, 20_000))

    told = bigram.perplexity(train, validation, VOCAB_SIZE)

    entropy = -(shares * np.log(shares)).sum()
    assert told == pytest.approx(np.exp(entropy), rel=0.02)


def test_tokens_that_tell_the_next_are_guessed_by_pairs() -> None:
    random = np.random.default_rng(1)

    def walk(size: int) -> list[int]:
        ids = [0]
        for way in random.integers(0, 2, size):
            ids.append((ids[-1] * 2 + int(way)) % VOCAB_SIZE)
        return ids

    told = bigram.perplexity(walk(20_000), walk(2_000), VOCAB_SIZE)

    assert told == pytest.approx(2, rel=0.02)


def test_what_was_never_seen_is_not_impossible() -> None:
    told = bigram.perplexity([1, 2] * 500, [3, 4, 5, 3], VOCAB_SIZE)

    assert VOCAB_SIZE < told < 1e6
