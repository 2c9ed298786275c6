"""Batches of texts of like length, so that little is computed for padding."""

from collections.abc import Iterator, Sequence


def by_length(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Indexes into `lengths`, shortest first, in batches of at most `max_tokens` when padded.

    A text that is longer than `max_tokens` makes a batch of its own.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > max_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
