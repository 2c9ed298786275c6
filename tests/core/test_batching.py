"""Batches by length."""

from hypothesis import given
from hypothesis import strategies as st

from canteen.core.batching import by_length


def test_texts_of_like_length_come_together() -> None:
    assert list(by_length([5, 100, 6, 90], 200)) == [[0, 2], [3, 1]]


def test_nothing_makes_no_batch() -> None:
    assert list(by_length([], 8)) == []


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 100))
def test_every_text_is_in_one_batch_and_no_batch_is_too_large(
    lengths: list[int], max_tokens: int
) -> None:
    batches = list(by_length(lengths, max_tokens))

    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[i] for i in batch)
        assert len(batch) == 1 or padded <= max_tokens
